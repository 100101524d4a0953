package page

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/test/browser"
)

// works has the jobs that a test wants.
type works struct {
	mu   sync.Mutex
	list []api.Job
}

func (w *works) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *works) Add(_ context.Context, o api.JobOrder, _ string) (j api.Job, err error) {
	if strings.HasPrefix(o.Input, "file:") {
		return j, api.Fail(api.Invalid, "input: it lies outside")
	}
	j = api.Job{ID: "3", State: "queued", Kind: o.Kind, Input: o.Input, Output: "s3://b/vod/new/", Created: time.Now(), Metadata: map[string]string{}, Rungs: []api.JobMade{}, Notes: []string{}}
	w.change(func() { w.list = append([]api.Job{j}, w.list...) })
	return j, nil
}

func (w *works) List(context.Context, string, int) (list []api.Job, more bool, err error) {
	w.change(func() { list = append(list, w.list...) })
	return list, false, nil
}

func (w *works) Show(context.Context, string) (j api.Job, err error) { return j, nil }

func (w *works) Cancel(_ context.Context, id string) (j api.Job, err error) {
	w.change(func() {
		for i := range w.list {
			if w.list[i].ID == id {
				w.list[i].Canceling = true
			}
		}
	})
	return j, nil
}

// Jobs are shown with how far each is, as it goes on; one is ordered, another canceled, and what is refused is said. Names do no harm.
func TestJobs(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	h := ordinary()
	now := time.Now()
	h.jobs = &works{list: []api.Job{
		{ID: "1", State: "running", Stage: "transcoding", Progress: 25, Kind: "adaptive_video", Input: hostile("s3://b/a.mov"), Output: "s3://b/vod/a/", Node: "n1", Created: now, Metadata: map[string]string{}, Rungs: []api.JobMade{}, Notes: []string{}},
		{ID: "2", State: "failed", Kind: "remux", Input: "s3://b/b.mov", Output: "s3://b/vod/b/", Created: now, Reason: hostile("it is no film"), Metadata: map[string]string{}, Rungs: []api.JobMade{}, Notes: []string{}},
	}}
	page := open(t, b, h.serve(t), "", desktop)
	page.until("the page is there", `document.querySelectorAll("#streams li").length > 0`)
	page.click("#to-jobs")
	page.until("jobs are shown", `document.querySelectorAll("#jobs-list li").length == 2`)
	if is[float64](page, `document.querySelector("#jobs-list progress").value`) != 25 || !is[bool](page, `document.querySelectorAll("#jobs-list li")[1].querySelector("progress").hidden`) {
		t.Error("how far it is")
	}
	if said := is[string](page, `document.querySelectorAll("#jobs-list li")[1].querySelector(".says").textContent`); !strings.HasPrefix(said, "it is no film") {
		t.Errorf("%q", said)
	}
	h.jobs.change(func() { h.jobs.list[0].Progress = 75 })
	page.until("it goes on", `document.querySelector("#jobs-list progress").value == 75`)
	page.shot("jobs", desktop)
	page.click("#jobs-list .danger")
	page.until("it is asked whether", `document.getElementById("confirm").open`)
	page.click("#confirm-yes")
	page.until("it is canceled", `document.querySelector("#jobs-list .when").textContent.includes("canceling")`)
	order := func(input string) {
		page.until("it is filled in", `((i) => { i.value = "`+input+`"; return true })(document.getElementById("job-input"))`)
		page.click("#job-go")
	}
	order("s3://b/new.mov")
	page.until("it is ordered", `document.querySelectorAll("#jobs-list li").length == 3 && document.getElementById("job-said").textContent.includes("s3://b/vod/new/")`)
	order("file:///etc/passwd")
	page.until("it is refused", `document.getElementById("job-said").textContent.includes("it lies outside")`)
	if is[bool](page, `typeof pwned !== "undefined"`) {
		t.Error("a name was taken for markup")
	}
	if wide := is[float64](page, `document.documentElement.scrollWidth - innerWidth`); wide > 1 {
		t.Errorf("it is %v pixels wider than the window", wide)
	}
}

// Without a bucket there are no jobs, and it says why.
func TestNoJobs(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	page := open(t, b, ordinary().serve(t), "", desktop)
	page.until("the page is there", `document.querySelectorAll("#streams li").length > 0`)
	page.click("#to-jobs")
	page.until("it says why", `document.getElementById("jobs-says").textContent.includes("storage.url") && document.getElementById("job-form").hidden`)
}
