package jobs

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// A server is frozen with an object of one job on its way, and with the removal of what another job has left, and wakes when another server
// has made the package, and removed the rest. What it had on its way arrives then: the object replaces nothing, a segment no more than a
// playlist, and nothing else has come into the folder that the removal could take away.
func TestServerIsFrozen(t *testing.T) {
	for _, name := range []string{"master.m3u8", "segment-1.ts"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, 0)
			object := &held{is: func(r *http.Request, _ []byte) bool {
				return r.Method == http.MethodPut && path.Base(r.URL.Path) == name && strings.Contains(r.URL.Path, "/vod/x/")
			}}
			removal := &held{is: func(r *http.Request, body []byte) bool {
				return (r.Method == http.MethodDelete || r.Method == http.MethodPost) && strings.Contains(r.URL.Path+string(body), "archive/vod/bad/")
			}}
			p.hold(object, removal)
			files := kinds(t, 20)
			file := files[0]
			p.serve(2)
			broken := p.upload(half(t, files[4]))
			j := p.order(p.nodes[0], api.JobOrder{Input: p.upload(file), Kind: "adaptive_video", Output: "vod/x/", Options: api.JobOptions{Ladder: []api.JobRung{{Name: "120p", Height: 120, VideoBitrate: 100_000}}}})
			arrives := func(h *held) {
				select {
				case <-h.on:
				case <-time.After(2 * time.Minute):
					t.Fatalf("nothing is on its way\n%s", p.nodes[0].Log)
				}
			}
			arrives(object) // what is held is tried again after a while: what comes sooner, comes last
			bad := p.order(p.nodes[0], api.JobOrder{Input: broken, Kind: "remux", Output: "vod/bad/"})
			arrives(removal)
			frozen := p.nodes[0]
			if err := frozen.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = frozen.Cmd.Process.Signal(syscall.SIGCONT) })
			p.nodes, p.Way = nil, ""
			p.serve(1)
			bad = p.wait(bad.ID, 4*time.Minute, "succeeded", "failed")
			if bad.State != "failed" || bad.Code != "truncated" || bad.Tries != 1 {
				t.Fatalf("%+v", bad)
			}
			if left := p.Keys("vod/bad/"); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			if status, said := ask(p.nodes[0], "POST", "/v1/jobs", api.JobOrder{Input: p.upload(file), Kind: "remux", Output: "vod/bad/"}, nil); status != http.StatusConflict || !strings.Contains(said, "choose another folder") {
				t.Errorf("the folder of the removal is given to another job: %d %s", status, said)
			}
			j = p.wait(j.ID, 4*time.Minute, "succeeded", "failed")
			if j.State != "succeeded" || j.Tries != 2 {
				t.Fatalf("%+v", j)
			}
			made := map[string]time.Time{}
			for _, key := range p.Keys("vod/") {
				_, o, _ := p.Get(key)
				made[key] = o.Modified
			}
			time.Sleep(time.Second) // times of objects are in seconds
			object.letGo()
			removal.letGo()
			if code := <-object.answered; code != http.StatusPreconditionFailed {
				t.Errorf("what was on its way is answered %d", code)
			}
			if code := <-removal.answered; code/100 != 2 {
				t.Errorf("the removal that was on its way is answered %d", code)
			}
			if err := frozen.Cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			rig.Eventually(t, 2*time.Minute, "it sees that the jobs are not its own", func() bool { return frozen.Metric(`hlsorigin_jobs_lost_total`) > 1 })
			for _, key := range p.Keys("vod/") {
				if _, o, _ := p.Get(key); !o.Modified.Equal(made[key]) {
					t.Errorf("%s was written at %v, and again at %v", key, made[key], o.Modified)
				}
				delete(made, key)
			}
			if len(made) > 0 {
				t.Errorf("gone: %v", made)
			}
			p.packaged(j, 20*time.Second)
			if said, status := p.nodes[0].Command("recordings", "verify", "vod/x/"); status != 0 {
				t.Errorf("%d\n%s", status, said)
			}
			p.told(j)
			p.told(bad)
		})
	}
}

// half is a file that breaks off.
func half(t *testing.T, file string) string {
	t.Helper()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "half"+filepath.Ext(file))
	if err := os.WriteFile(name, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// held is one request that waits on its way to the bucket.
type held struct {
	is func(r *http.Request, body []byte) bool

	once      sync.Once
	on, letgo chan struct{}
	answered  chan int // by the bucket, when it was let go
	letGo     func()
}

// hold has the first request of each kind that the next server sends wait on its way.
func (p *plant) hold(all ...*held) {
	p.T.Helper()
	for _, h := range all {
		h.on, h.letgo, h.answered = make(chan struct{}), make(chan struct{}), make(chan int, 1)
		h.letGo = sync.OnceFunc(func() { close(h.letgo) })
	}
	way := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		for _, h := range all {
			first := false
			if h.is(r, body) {
				h.once.Do(func() { first = true })
			}
			if !first {
				continue
			}
			close(h.on)
			<-h.letgo
			late := httptest.NewRecorder()
			p.Proxy.ServeHTTP(late, r.WithContext(context.WithoutCancel(r.Context())))
			h.answered <- late.Code
			w.WriteHeader(http.StatusServiceUnavailable) // its answer may be lost as well
			return
		}
		p.Proxy.ServeHTTP(w, r)
	}))
	p.T.Cleanup(func() {
		for _, h := range all {
			h.letGo()
		}
		way.CloseClientConnections()
		way.Close()
	})
	p.Way = way.URL
}
