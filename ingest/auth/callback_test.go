package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// backEnd is a real HTTP server with prepared answers.
type backEnd struct {
	*httptest.Server
	asks   atomic.Int64
	answer atomic.Pointer[http.HandlerFunc]
	mu     sync.Mutex
	bodies []string
}

func newBackEnd(t *testing.T) *backEnd {
	b := &backEnd{}
	b.say(200, "")
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asks.Add(1)
		raw, _ := io.ReadAll(r.Body)
		b.mu.Lock()
		b.bodies = append(b.bodies, r.Method+" "+r.Header.Get("Content-Type")+" "+string(raw))
		b.mu.Unlock()
		(*b.answer.Load())(w, r)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backEnd) do(h http.HandlerFunc) { b.answer.Store(&h) }

func (b *backEnd) say(status int, body string) {
	b.do(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

func (b *backEnd) app(c Callback) map[string]App {
	c.URL = b.URL
	return map[string]App{"live": {Callback: c, Keys: map[string]string{"local": "s3cret-local"}}}
}

// TestCallbackBody checks that the question is the one MediaMTX asks.
func TestCallbackBody(t *testing.T) {
	b := newBackEnd(t)
	r := newRig(t, b.app(Callback{}))
	g, err := r.Authorize(t.Context(), ingest.Request{
		Protocol: "rtmp", App: "live", Name: "cam", User: "u", Password: "p", Token: "t", Query: "user=u&pass=p&token=t", Remote: remote,
	})
	if err != nil || g.Stream != "cam" {
		t.Fatalf("%+v, %v", g, err)
	}
	head, raw, _ := strings.Cut(b.bodies[0], "{")
	if head != "POST application/json " {
		t.Errorf("the request is %s", head)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte("{"+raw), &got); err != nil {
		t.Fatal(err)
	}
	id, _ := got["id"].(string)
	if len(id) != 36 || strings.Count(id, "-") != 4 {
		t.Errorf("id %q", id)
	}
	delete(got, "id")
	want := map[string]any{"user": "u", "password": "p", "token": "t", "ip": "203.0.113.9", "action": "publish", "path": "live/cam", "protocol": "rtmp", "query": "user=u&pass=p&token=t"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := r.Authorize(t.Context(), ingest.Request{App: "live", Name: "s3cret-local", Remote: remote}); err != nil || b.asks.Load() != 1 {
		t.Errorf("a key of the configuration is asked about: %v", err)
	}
}

func TestCallbackAnswers(t *testing.T) {
	b := newBackEnd(t)
	for name, tc := range map[string]struct {
		status int
		body   string
		want   string // the stream, or the words
		kind   ingest.RefusalKind
	}{
		"yes":             {200, "", "hunter2-key", 0},
		"no content":      {204, "", "hunter2-key", 0},
		"another name":    {200, `{"stream": "cam"}`, "cam", 0},
		"text":            {200, "OK", "hunter2-key", 0},
		"impossible name": {200, `{"stream": "a/b"}`, "cannot publish under", ingest.Overloaded},
		"no":              {401, "", "this key is not known here", ingest.Unauthorized},
		"forbidden":       {403, `{"reason": "the show begins at eight"}`, "the show begins at eight", ingest.Unauthorized},
		"error":           {403, `{"error": "no credit"}`, "no credit", ingest.Unauthorized},
		"plain":           {403, "no credit\r\nleft\x00", "no credit left", ingest.Unauthorized},
		"secret in it":    {401, "hunter2-key is unknown", "… is unknown", ingest.Unauthorized},
		"long":            {401, strings.Repeat("ä", 1000), strings.Repeat("ä", maxReasonLen/2), ingest.Unauthorized},
		"server error":    {500, "hunter2", "cannot ask now", ingest.Overloaded},
		"not found":       {404, "", "cannot ask now", ingest.Overloaded},
		"redirect":        {302, "", "cannot ask now", ingest.Overloaded},
		"endless":         {200, strings.Repeat("x", maxAnswer+1), "cannot ask now", ingest.Overloaded},
		"too many":        {429, "", "cannot ask now", ingest.Overloaded},
	} {
		t.Run(name, func(t *testing.T) {
			b.say(tc.status, tc.body)
			r := newRig(t, b.app(Callback{}))
			g, err := r.Authorize(t.Context(), ingest.Request{Protocol: "rtmp", App: "live", Name: "hunter2-key", Remote: remote})
			if tc.kind == 0 {
				if err != nil || g.Stream != tc.want || g.Identity != tc.want {
					t.Errorf("%+v, %v", g, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > maxReasonLen || err.(*ingest.Refusal).Kind != tc.kind {
				t.Errorf("%v", err)
			}
			if strings.Contains(r.log.String()+fmt.Sprint(err), "hunter2") {
				t.Errorf("a secret is shown: %v\n%s", err, &r.log)
			}
		})
	}
}

// TestCallbackFailsClosed tests a back end that is down, and one that does not answer. Both are logged once, without the address.
func TestCallbackFailsClosed(t *testing.T) {
	b := newBackEnd(t)
	free := make(chan struct{})
	b.do(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-free:
		case <-r.Context().Done():
		}
	})
	apps := b.app(Callback{Timeout: 50 * time.Millisecond})
	r := newRig(t, apps)
	q := ingest.Request{Protocol: "rtmp", App: "live", Name: "cam", Remote: remote}
	for range 5 {
		if k := r.kind(t, q); k != ingest.Overloaded {
			t.Errorf("slow: %v", k)
		}
	}
	close(free)
	b.Close()
	for range 5 {
		if k := r.kind(t, q); k != ingest.Overloaded {
			t.Errorf("down: %v", k)
		}
	}
	if n := strings.Count(r.log.String(), "\n"); n != 1 || !strings.Contains(r.log.String(), "does not answer") {
		t.Errorf("the log is\n%s", &r.log)
	}
	if n := r.Stats.By[Unasked].Load(); n != 10 {
		t.Errorf("%d are counted", n)
	}
}

func TestCallbackCache(t *testing.T) {
	b := newBackEnd(t)
	r := newRig(t, b.app(Callback{Cache: 30 * time.Second}))
	ask := func(name string) {
		_, _ = r.Authorize(context.Background(), ingest.Request{Protocol: "rtmp", App: "live", Name: name, Remote: remote})
	}
	for _, step := range []struct {
		name  string
		after time.Duration
		asks  int64
	}{{"cam", 0, 1}, {"cam", 29 * time.Second, 1}, {"cam", 2 * time.Second, 2}, {"other", 0, 3}} {
		r.clock = r.clock.Add(step.after)
		ask(step.name)
		if n := b.asks.Load(); n != step.asks {
			t.Errorf("%+v: %d questions", step, n)
		}
	}
	b.say(401, "")
	for _, step := range []struct {
		after time.Duration
		asks  int64
	}{{0, 4}, {4 * time.Second, 4}, {2 * time.Second, 5}} {
		r.clock = r.clock.Add(step.after)
		ask("wrong")
		if n := b.asks.Load(); n != step.asks {
			t.Errorf("refused, %+v: %d questions", step, n)
		}
	}
	for i := range 2 * maxCached {
		r.settings.Load().apps["live"].ask.keep([32]byte{byte(i), byte(i >> 8)}, answer{allowed: true})
	}
	if n := len(r.settings.Load().apps["live"].ask.cached); n > maxCached {
		t.Errorf("%d answers are kept", n)
	}
}

// TestCallbackIsNotFlooded checks that not every guess reaches the back end.
func TestCallbackIsNotFlooded(t *testing.T) {
	b := newBackEnd(t)
	b.say(401, "")
	r := newRig(t, b.app(Callback{}))
	for i := range 2000 {
		_ = r.kind(t, ingest.Request{Protocol: "rtmp", App: "live", Name: fmt.Sprint("guess", i), Remote: remote})
	}
	if n := b.asks.Load(); n > 12 {
		t.Errorf("%d questions", n)
	}
}

func FuzzPresentable(f *testing.F) {
	f.Add("the show\r\nbegins", "secret")
	f.Add(strings.Repeat("ä", 300), "ä")
	f.Fuzz(func(t *testing.T, s, secret string) {
		got := presentable(s, secret)
		if len(got) > maxReasonLen || strings.ContainsAny(got, "\r\n\x00\x1b") {
			t.Errorf("%q gave %q", s, got)
		}
	})
}
