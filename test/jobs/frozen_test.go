package jobs

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// A server is frozen with an object on its way, and wakes when another has made the package: what it had on its way arrives then, and
// replaces nothing, a segment no more than a playlist.
func TestServerIsFrozen(t *testing.T) {
	for _, name := range []string{"master.m3u8", "segment-1.ts"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, 0, "")
			var once sync.Once
			held, letgo := make(chan struct{}), make(chan struct{})
			answered := make(chan int, 1)
			way := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				r.Body = io.NopCloser(bytes.NewReader(body))
				first := false
				if r.Method == http.MethodPut && path.Base(r.URL.Path) == name {
					once.Do(func() { first = true })
				}
				if !first {
					p.Proxy.ServeHTTP(w, r)
					return
				}
				close(held)
				<-letgo
				late := httptest.NewRecorder()
				p.Proxy.ServeHTTP(late, r.WithContext(context.WithoutCancel(r.Context())))
				answered <- late.Code
				w.WriteHeader(http.StatusServiceUnavailable) // its answer may be lost as well
			}))
			letGo := sync.OnceFunc(func() { close(letgo) })
			t.Cleanup(func() { letGo(); way.CloseClientConnections(); way.Close() })
			file := kinds(t, 20)[0]
			p.Way = way.URL
			p.serve("")
			j := p.order(p.nodes[0], api.JobOrder{Input: p.upload(file), Kind: "adaptive_video", Output: "vod/x/", Options: api.JobOptions{Ladder: []api.JobRung{{Name: "120p", Height: 120, VideoBitrate: 100_000}}}})
			select {
			case <-held:
			case <-time.After(2 * time.Minute):
				t.Fatalf("nothing is on its way\n%s", p.nodes[0].Log)
			}
			frozen := p.nodes[0]
			if err := frozen.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = frozen.Cmd.Process.Signal(syscall.SIGCONT) })
			p.nodes, p.Way = nil, ""
			p.serve("")
			j = p.wait(j.ID, 4*time.Minute, "succeeded", "failed")
			if j.State != "succeeded" || j.Tries != 2 {
				t.Fatalf("%+v", j)
			}
			made := map[string]time.Time{}
			for _, key := range p.Keys("vod/x/") {
				_, o, _ := p.Get(key)
				made[key] = o.Modified
			}
			time.Sleep(time.Second) // times of objects are in seconds
			letGo()
			if code := <-answered; code != http.StatusPreconditionFailed {
				t.Errorf("what was on its way is answered %d", code)
			}
			if err := frozen.Cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			rig.Eventually(t, 2*time.Minute, "it sees that the job is not its own", func() bool { return frozen.Metric(`hlsorigin_jobs_lost_total`) > 0 })
			for _, key := range p.Keys("vod/x/") {
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
		})
	}
}
