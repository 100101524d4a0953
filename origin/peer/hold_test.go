package peer

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// An answer is awaited until its ETag is another.
func TestHold(t *testing.T) {
	for name, c := range map[string]struct {
		had, path string
		do        func(m *media, leave func()) // after a second; nil: nothing
		status    int
		body      string
		after     time.Duration
	}{
		"it is another already":         {had: `"0"`, status: 200, body: "one"},
		"nothing is had":                {had: "", status: 200, body: "one"},
		"it changes":                    {had: `"1"`, do: func(m *media, _ func()) { m.set(`"2"`, "two") }, status: 200, body: "two", after: time.Second},
		"it changes, and is the same":   {had: `"1"`, do: func(m *media, _ func()) { m.set(`"1"`, "one") }, status: 304, after: HoldFor},
		"it goes":                       {had: `"1"`, do: func(m *media, _ func()) { m.set("", "") }, status: 404, after: time.Second},
		"it does not change":            {had: `"1"`, status: 304, after: HoldFor},
		"the other server leaves":       {had: `"1"`, do: func(_ *media, leave func()) { leave() }, status: 503, body: "this server is stopping\n", after: time.Second},
		"another answer of another one": {had: `"gz"`, status: 200, body: "one"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMedia()
				s := newServer(m)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				w := httptest.NewRecorder()
				began, done := time.Now(), make(chan struct{})
				go func() {
					defer close(done)
					s.ServeHTTP(w, request("GET", "/live/streams/cam.m3u8", c.had).WithContext(ctx))
				}()
				if c.do != nil {
					time.Sleep(time.Second)
					if s.Held() != 1 {
						t.Errorf("%d held", s.Held())
					}
					c.do(m, leave)
				}
				<-done
				if took := time.Since(began); w.Code != c.status || w.Body.String() != c.body || took != c.after {
					t.Errorf("%d %q after %s", w.Code, w.Body, took)
				}
				if c.status == 304 && (etag(w.Header()) != `"1"` || w.Header().Get("Cache-Control") == "" || w.Header().Get("Content-Length") != "") {
					t.Errorf("%v", w.Header())
				}
				if s.Held() != 0 {
					t.Errorf("%d held afterwards", s.Held())
				}
			})
		})
	}
}

// A thousand are held at once and all answered; one beyond the bound is refused.
func TestManyHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		m := newMedia()
		s := newServer(m, func(o *Options) { o.MaxHeld = n })
		answers := make(chan int, n)
		for range n {
			go func() {
				answers <- ask(s, request("GET", "/live/streams/cam.m3u8", `"1"`)).Code
			}()
		}
		synctest.Wait()
		if s.Held() != n {
			t.Errorf("%d held", s.Held())
		}
		if w := ask(s, request("GET", "/live/streams/cam.m3u8", `"1"`)); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("one more: %d %v", w.Code, w.Header())
		}
		if w := ask(s, request("GET", "/live/streams/cam.m3u8", "")); w.Code != 200 {
			t.Errorf("one that is not held: %d", w.Code)
		}
		m.set(`"2"`, "two")
		for range n {
			if code := <-answers; code != 200 {
				t.Fatal(code)
			}
		}
		synctest.Wait()
		if s.Held() != 0 {
			t.Errorf("%d held afterwards", s.Held())
		}
	})
}
