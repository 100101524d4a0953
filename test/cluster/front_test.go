package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// front is a balancer for viewers and encoders that leaves out the servers which are not ready, and asks the next where one does not take the
// connection, as HAProxy does with the settings in docs/cluster.md.
type front struct {
	url     string // for viewers
	rtmp    *balancer
	all     []*node
	client  *http.Client
	checker *http.Client

	mu      sync.Mutex
	ready   []*node
	turn    int
	answers int
	moved   int // requests that another server answered than was asked first
	faults  []string
}

func stand(t *testing.T, all []*node) *front {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	f := &front{rtmp: balance(t), all: all, client: &http.Client{Transport: transport, Timeout: 30 * time.Second}, checker: &http.Client{Timeout: time.Second}}
	f.rtmp.spread = true
	f.check()
	ctx, cancel := context.WithCancel(context.Background())
	var busy sync.WaitGroup
	busy.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f.check()
			case <-ctx.Done():
				return
			}
		}
	})
	srv := httptest.NewServer(f)
	f.url = srv.URL + "/"
	t.Cleanup(func() {
		cancel()
		busy.Wait()
		srv.CloseClientConnections()
		srv.Close()
		transport.CloseIdleConnections()
		f.checker.CloseIdleConnections()
	})
	return f
}

// check asks all servers whether they are ready.
func (f *front) check() {
	var ready []*node
	var rtmp []string
	for _, n := range f.all {
		res, err := f.checker.Get("http://" + n.Admin + "/readyz")
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			ready, rtmp = append(ready, n), append(rtmp, n.RTMP)
		}
	}
	f.rtmp.set(rtmp...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = ready
}

// takes reports whether viewers are sent to a server.
func (f *front) takes(n *node) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.ready {
		if r == n {
			return true
		}
	}
	return false
}

// order is whom the next request goes to, one after another.
func (f *front) order() (some []*node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn++
	for i := range f.ready {
		some = append(some, f.ready[(f.turn+i)%len(f.ready)])
	}
	return some
}

// note keeps what was answered.
func (f *front) note(r *http.Request, n *node, status int, said string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers++
	if status >= 400 && len(f.faults) < 50 {
		f.faults = append(f.faults, fmt.Sprintf("%s %s from %s: %d %s", time.Now().Format("04:05.000"), r.URL.Path, n.name, status, said))
	}
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var at *node
	said := "no server is ready"
	for i, n := range f.order() {
		at = n
		out, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+n.HTTP+r.URL.RequestURI(), nil)
		if err != nil {
			said = err.Error()
			break
		}
		res, err := f.client.Do(out)
		if err != nil {
			said = err.Error()
			if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
				continue
			}
			break
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			said = err.Error()
			break
		}
		if i > 0 {
			f.mu.Lock()
			f.moved++
			f.mu.Unlock()
		}
		f.note(r, n, res.StatusCode, string(body[:min(len(body), 100)*min(1, res.StatusCode/400)]))
		w.Header().Set("Answered-By", n.name)
		w.WriteHeader(res.StatusCode)
		_, _ = w.Write(body)
		return
	}
	if r.Context().Err() == nil {
		if at == nil {
			at = &node{name: "nobody"}
		}
		f.note(r, at, http.StatusBadGateway, said)
	}
	w.WriteHeader(http.StatusBadGateway)
}
