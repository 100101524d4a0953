// Package jobs tests, on the built program and a real S3 server, that files become packages whatever happens to those who make them. It
// refuses to know how a queue is kept, and how a package is made.
package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	eyevinn "github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// receiver receives events of jobs, by two ways: as a webhook of the configuration, and as the jobs' own.
type receiver struct {
	t       *testing.T
	address string

	mu   sync.Mutex
	got  map[string]map[string]bool // by path, then by "type job": the ids
	fail int                        // so many requests are refused
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, address: rig.FreeAddress(t), got: map[string]map[string]bool{}}
	s := &http.Server{Handler: r}
	l := rig.Listen(t, r.address)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // a server was killed
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err == nil {
		err = verifier.Verify(body, req.Header)
	}
	var e struct {
		ID, Type string
		Data     struct{ Job string }
	}
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil || e.ID != req.Header.Get("webhook-id") {
		r.t.Errorf("%v: %v %s", err, req.Header, body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail > 0 {
		r.fail--
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	key := req.URL.Path + " " + e.Type + " " + e.Data.Job
	if r.got[key] == nil {
		r.got[key] = map[string]bool{}
	}
	r.got[key][e.ID] = true
}

// ids is how many ids came of one event.
func (r *receiver) ids(path, typ, job string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got[path+" "+typ+" "+job])
}

// plant is servers on one bucket.
type plant struct {
	*rig.Vault
	hooks *receiver
	nodes []*rig.Process
}

func newPlant(t *testing.T, nodes int) *plant {
	t.Helper()
	rig.Need(t, "ffmpeg", "ffprobe")
	p := &plant{Vault: rig.NewVault(t), hooks: newReceiver(t)}
	for range nodes {
		p.serve(1)
	}
	return p
}

// serve starts one more server on the bucket.
func (p *plant) serve(workers int) {
	p.T.Helper()
	p.nodes = append(p.nodes, rig.Serve(p.T, p.T.TempDir(), rig.Brisk+p.YAML()+fmt.Sprintf(
		"webhooks: [{url: \"http://%s/all\", secret: %q, events: [job.*]}]\njobs: {workers: %d, webhook_secret: %q, webhook_hosts: [127.0.0.1]}\n", p.hooks.address, secret, workers, secret)))
}

// url is that of a key of the bucket.
func (p *plant) url(key string) string { return "s3://" + p.At.Bucket + "/archive/" + key }

// upload puts a file into the bucket.
func (p *plant) upload(file string) string {
	p.T.Helper()
	f, err := os.Open(file)
	if err != nil {
		p.T.Fatal(err)
	}
	defer f.Close()
	key := "uploads/" + filepath.Base(file)
	if _, err := p.Store.Put(p.T.Context(), key, f, storage.Attributes{}); err != nil {
		p.T.Fatal(err)
	}
	return p.url(key)
}

// ask asks a server. Without an answer, as while it is killed, the status is 0.
func ask(n *rig.Process, method, path string, body any, out any) (status int, said string) {
	n.T.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		n.T.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(n.T.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+n.Admin+path, bytes.NewReader(data))
	if err != nil {
		n.T.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode == http.StatusOK && out != nil {
		err = json.Unmarshal(answer, out)
	}
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(answer)
}

func (p *plant) order(n *rig.Process, o api.JobOrder) api.Job {
	p.T.Helper()
	if o.WebhookURL == "" {
		o.WebhookURL = "http://" + p.hooks.address + "/own"
	}
	var j api.Job
	if status, said := ask(n, "POST", "/v1/jobs", o, &j); status != 200 {
		p.T.Fatalf("%+v: %d %s", o, status, said)
	}
	return j
}

// show is a job, as whichever server answers has it.
func (p *plant) show(id string) (j api.Job, ok bool) {
	for _, n := range p.nodes {
		if status, _ := ask(n, "GET", "/v1/jobs/"+id, nil, &j); status == 200 {
			return j, true
		}
	}
	return j, false
}

func (p *plant) wait(id string, within time.Duration, states ...string) (j api.Job) {
	p.T.Helper()
	rig.Eventually(p.T, within, fmt.Sprintf("job %s is one of %v", id, states), func() bool {
		var ok bool
		j, ok = p.show(id)
		return ok && slices.Contains(states, j.State)
	})
	return j
}

// told waits until both ways have told of a job's end, with one id.
func (p *plant) told(j api.Job) {
	p.T.Helper()
	rig.Eventually(p.T, 2*time.Minute, "the end of "+j.ID+" is told", func() bool {
		return p.hooks.ids("/all", "job."+j.State, j.ID) > 0 && p.hooks.ids("/own", "job."+j.State, j.ID) > 0
	})
	for _, path := range []string{"/all", "/own"} {
		for _, state := range []string{"succeeded", "failed", "canceled"} {
			want := 0
			if state == j.State {
				want = 1
			}
			if n := p.hooks.ids(path, "job."+state, j.ID); n != want {
				p.T.Errorf("%s: %d ids of job.%s", j.ID, n, state)
			}
		}
	}
}

// relative is the key of a URL of the bucket.
func (p *plant) relative(url string) string { return strings.TrimPrefix(url, p.url("")) }

// packaged checks a package: two parsers read its playlists, everything named is there and nothing else, and ffmpeg decodes it.
func (p *plant) packaged(j api.Job, lasts time.Duration) {
	p.T.Helper()
	folder := p.relative(j.Output)
	named := map[string]bool{folder + "master.m3u8": true}
	body, _, _ := p.Get(folder + "master.m3u8")
	var master playlist.Multivariant
	if err := master.Unmarshal(body); err != nil {
		p.T.Errorf("%s: by gohlslib: %v\n%s", j.Input, err, body)
		return
	}
	if m, kind, err := eyevinn.DecodeFrom(bytes.NewReader(body), true); err != nil || kind != eyevinn.MASTER {
		p.T.Errorf("%s: by hls-m3u8: %v, %v", j.Input, m, err)
	}
	lists := map[string]bool{}
	for _, v := range master.Variants {
		lists[folder+v.URI] = true
	}
	for _, r := range master.Renditions {
		if r.URI != nil {
			lists[folder+*r.URI] = true
		}
	}
	for list := range lists {
		body, _, _ := p.Get(list)
		named[list] = true
		var media playlist.Media
		if err := media.Unmarshal(body); err != nil || !media.Endlist {
			p.T.Errorf("%s: %s: %v\n%s", j.Input, list, err, body)
			continue
		}
		if m, kind, err := eyevinn.DecodeFrom(bytes.NewReader(body), true); err != nil || kind != eyevinn.MEDIA {
			p.T.Errorf("%s: by hls-m3u8: %v, %v", list, m, err)
		}
		var sum time.Duration
		for _, s := range media.Segments {
			sum += s.Duration
			named[path.Join(path.Dir(list), s.URI)] = true
		}
		if d := sum - lasts; d < -500*time.Millisecond || d > 500*time.Millisecond {
			p.T.Errorf("%s: %s lasts %v, not %v", j.Input, list, sum, lasts)
		}
	}
	for _, url := range []string{j.Poster, j.Thumbnails} {
		if url != "" {
			named[p.relative(url)] = true
		}
	}
	there := p.Keys(folder)
	for key := range named {
		if !slices.Contains(there, key) {
			p.T.Errorf("%s: %s is named and not there", j.Input, key)
		}
	}
	for _, key := range there {
		if !named[key] && path.Ext(key) != ".jpg" {
			p.T.Errorf("%s: %s is there and not named", j.Input, key)
		}
	}
	for _, rung := range slices.Sorted(maps.Keys(lists)) {
		if out, err := exec.Command("ffmpeg", "-v", "error", "-xerror", "-i", p.Web()+"/"+rung, "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
			p.T.Errorf("%s: ffmpeg: %v\n%s", rung, err, out)
		}
	}
}

// clean checks that nothing is left but jobs that are over, and the keys by which they are not ordered twice.
func (p *plant) clean() {
	p.T.Helper()
	var left []string
	rig.Eventually(p.T, 2*time.Minute, "nothing is left of the jobs", func() bool {
		left = slices.DeleteFunc(p.Keys(".cluster/_jobs/"), func(key string) bool {
			return strings.HasPrefix(key, ".cluster/_jobs/done/") || strings.HasPrefix(key, ".cluster/_jobs/keys/")
		})
		return len(left) == 0
	})
	for _, n := range p.nodes {
		files, err := filepath.Glob(filepath.Join(n.Dir, "data", "spool", "[^.]*"))
		if err != nil || len(files) > 0 {
			p.T.Errorf("%q, %v", files, err)
		}
	}
}

// film has ffmpeg make a file.
func film(t *testing.T, name string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	all := append([]string{"-v", "error", "-y"}, append(args, file)...)
	if out, err := exec.Command("ffmpeg", all...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", all, err, out)
	}
	return file
}
