package admin

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// get asks s for a target, under a Host.
func get(t *testing.T, s *Server, host, target string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = host
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestServeEndsWithItsContextAndLetsWaitersGo(t *testing.T) {
	entered := make(chan struct{})
	s := New(Options{StopTimeout: time.Second, Sync: syncFunc(func(ctx context.Context) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	})})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()

	answered := make(chan int, 1)
	go func() {
		res, err := http.Get("http://" + l.Addr().String() + "/readyz?sync=1&timeout=5m")
		if err != nil {
			answered <- 0
			return
		}
		res.Body.Close()
		answered <- res.StatusCode
	}()
	<-entered
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if status := <-answered; status != http.StatusServiceUnavailable {
		t.Errorf("the waiter was answered %d", status)
	}
	if _, err := net.DialTimeout("tcp", l.Addr().String(), time.Second); err == nil {
		t.Error("the listener is still open")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestServeSaysWhyTheListenerFailed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := New(Options{}).Serve(t.Context(), l); err == nil {
		t.Error("no error")
	}
}

func TestEveryAnswerForbidsCaching(t *testing.T) {
	s := New(Options{})
	for _, path := range []string{"/healthz", "/readyz", "/", "/page/main.js", "/page/page.css", "/page/icon.svg", "/api/streams", "/api/page", "/nothing", "/metrics"} {
		res, _ := get(t, s, "localhost", path)
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, res.Header)
		}
		if res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may be read by other sites", path)
		}
	}
	if n := s.Stats().Requests.Load(); n != 10 {
		t.Errorf("%d requests counted", n)
	}
}

func TestOptionalRoutes(t *testing.T) {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hlsorigin_up 1\n") })
	for _, tc := range []struct {
		o      Options
		path   string
		status int
	}{
		{Options{}, "/metrics", 404}, {Options{Metrics: metrics}, "/metrics", 200},
		{Options{}, "/debug/pprof/", 404}, {Options{Pprof: true}, "/debug/pprof/", 200}, {Options{Pprof: true}, "/debug/pprof/heap", 200},
	} {
		if res, _ := get(t, New(tc.o), "localhost", tc.path); res.StatusCode != tc.status {
			t.Errorf("%s: %d, wanted %d", tc.path, res.StatusCode, tc.status)
		}
	}
}

func TestOnlyGet(t *testing.T) {
	for _, path := range []string{"/healthz", "/readyz", "/api/streams", "/"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("x"))
		r.Host = "localhost"
		New(Options{}).ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
}

type syncFunc func(context.Context) error

func (f syncFunc) Sync(ctx context.Context) error { return f(ctx) }

type checks []Check

func (c checks) Checks() []Check { return c }

type streams []Stream

func (s streams) Streams() []Stream { return s }

func decode(t *testing.T, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
}
