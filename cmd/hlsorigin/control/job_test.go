package control

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
)

func parseJob(line string) (*JobCall, error) {
	words := strings.Fields(line)
	f := flag.NewFlagSet("job", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	j := JobFlags(f)
	if err := f.Parse(words[1:]); err != nil {
		return nil, err
	}
	return j.Parse(words[0], f.Args())
}

func TestParseJob(t *testing.T) {
	for line, want := range map[string]string{
		"add s3://b/x.mov":                   "POST /v1/jobs",
		"add -kind remux /srv/x.mov":         "POST /v1/jobs",
		"ls":                                 "GET /v1/jobs?limit=100",
		"ls -state failed -limit 5":          "GET /v1/jobs?limit=5&state=failed",
		"show 4-1-a":                         "GET /v1/jobs/4-1-a",
		"rm ../x":                            "DELETE /v1/jobs/..%2Fx",
		"add":                                "",
		"add a b":                            "",
		"ls a":                               "",
		"show":                               "",
		"stop 1":                             "",
		"add -rung 720p x.mov":               "",
		"add -rung 720p:tall:3M x.mov":       "",
		"add -rung 720p:720:fast x.mov":      "",
		"add -metadata course s3://b/x.mov":  "",
		"add -metadata =course s3://b/x.mov": "",
	} {
		c, err := parseJob(line)
		if (err == nil) != (want != "") || err == nil && c.method+" "+c.path != want {
			t.Errorf("%s: %+v, %v", line, c, err)
		}
	}
	c, err := parseJob("add -rung 720p:720:3M -rung 360p:360:800k -metadata a=b=c -key k -output vod/x/ -cmaf -priority 9 -webhook https://h/ /srv/a/../x.mov")
	if err != nil {
		t.Fatal(err)
	}
	o := c.body.(api.JobOrder)
	if o.Input != "file:///srv/x.mov" || len(o.Options.Ladder) != 2 || o.Options.Ladder[1].VideoBitrate != 800_000 || o.Metadata["a"] != "b=c" || c.key != "k" || !o.Options.CMAF || *o.Priority != 9 {
		t.Errorf("%+v", o)
	}
}

// What waits shows how far the job is on one writer, the end on the other, and fails where the job does.
func TestFollow(t *testing.T) {
	for _, end := range []string{"succeeded", "failed", "canceled"} {
		n, reason := 0, "because"
		if end == "canceled" { // for which there is none
			reason = ""
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n++; n == 1 && (r.Method != http.MethodPost || r.Header.Get("Idempotency-Key") != "k") {
				t.Errorf("%s with key %q", r.Method, r.Header.Get("Idempotency-Key"))
			}
			j := api.Job{ID: "4-1-a", State: "running", Stage: "transcoding", Progress: float64(n * 15), Input: "s3://b/x\x1b.mov"}
			if n > 3 {
				j.State, j.Stage, j.Reason = end, "", reason
			}
			_ = json.NewEncoder(w).Encode(j)
		}))
		c, err := parseJob("add -wait -key k s3://b/x.mov")
		if err != nil {
			t.Fatal(err)
		}
		var out, progress bytes.Buffer
		err = c.Do(t.Context(), &out, &progress, server.Listener.Addr().String(), nil)
		server.Close()
		if (err == nil) != (end == "succeeded") || err != nil && err.Error() != "the job failed: because" && err.Error() != "the job was canceled" {
			t.Errorf("%s: %v", end, err)
		}
		if got := progress.String(); got != "running transcoding: 30 %\nrunning transcoding: 40 %\n" {
			t.Errorf("%q", got)
		}
		if !strings.Contains(out.String(), end) || strings.Contains(out.String(), "transcoding") {
			t.Errorf("%q", out.String())
		}
	}
}

func TestFollowOnATerminal(t *testing.T) {
	var b bytes.Buffer
	f := &follower{out: &b, terminal: true, poll: time.Second}
	f.step(&api.Job{State: "running", Stage: "packaging", Progress: 50})
	f.clear()
	f.clear()
	if want := fmt.Sprintf("\r\033[K[%s%s]  50 %% running packaging\r\033[K", strings.Repeat("=", 15), strings.Repeat(" ", 15)); b.String() != want {
		t.Errorf("%q", b.String())
	}
}
