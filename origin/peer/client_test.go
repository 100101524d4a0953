package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serve runs a server on loopback for a test.
func serve(t *testing.T, s *Server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func client(t *testing.T, secrets *Secrets) *Client {
	c := NewClient(secrets)
	t.Cleanup(c.Close)
	return c
}

func TestClient(t *testing.T) {
	at := serve(t, newServer(newMedia()))
	c := client(t, NewSecrets(secret, time.Now))
	if st, err := c.State(t.Context(), at, "live", "cam"); err != nil || !st.Fed || st.Node != "a" || st.Since.Unix() != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	if n, err := c.Node(t.Context(), at); err != nil || n.Node != "a" || n.Instance != "i" || time.Since(n.Clock).Abs() > time.Minute {
		t.Errorf("%+v, %v", n, err)
	}
	res, err := c.HTTP().Get(at + "/live/streams/cam.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != 200 || string(body) != "one" || res.Header.Get("Content-Encoding") != "" || err != nil {
		t.Errorf("%d %q %v", res.StatusCode, body, err)
	}
}

// A server that is away is told from one that says nothing of use: only the first may be taken for dead.
func TestClientErrors(t *testing.T) {
	c := client(t, NewSecrets(secret, time.Now))
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	quiet, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	says := func(fn http.HandlerFunc) string {
		s := httptest.NewServer(fn)
		t.Cleanup(s.Close)
		return s.URL
	}
	far := says(func(w http.ResponseWriter, r *http.Request) { t.Error("a redirect was followed") })
	for name, x := range map[string]struct {
		at   string
		away bool
		want error
	}{
		"nobody listens": {"http://" + closed.Addr().String(), true, ErrAway},
		"no address":     {"http://%zz", true, ErrAway},
		"none either":    {"", true, ErrAway},
		"it hangs":       {"http://" + quiet.Addr().String(), true, ErrAway},
		"another secret": {serve(t, newServer(newMedia(), func(o *Options) { o.Secrets = NewSecrets(other, time.Now) })), false, ErrSecret},
		"something else": {says(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }), true, nil},
		"another 401":    {says(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }), true, nil},
		"a redirect":     {says(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, far, 302) }), true, nil},
		"an error":       {says(func(w http.ResponseWriter, _ *http.Request) { refuse(w, 500, "it is broken") }), false, nil},
		"no JSON": {says(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(markHeader, "1")
			_, _ = io.WriteString(w, "<html>")
		}), false, nil},
		"without an end": {says(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(markHeader, "1")
			_, _ = io.WriteString(w, `{"node":"`)
			for i := 0; i < 1<<10; i++ {
				if _, err := io.WriteString(w, strings.Repeat("a", 1<<10)); err != nil {
					return
				}
			}
		}), false, nil},
	} {
		_, err := c.State(t.Context(), x.at, "live", "cam")
		_, err2 := c.Node(t.Context(), x.at)
		for _, err := range []error{err, err2} {
			if err == nil || errors.Is(err, ErrAway) != x.away || x.want != nil && !errors.Is(err, x.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.State(gone, "http://"+quiet.Addr().String(), "live", "cam"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrAway) {
		t.Errorf("who asked has gone: %v", err)
	}
}

// A server that has a new secret reaches one that has not, and the other way round.
func TestClientsSecretIsChanged(t *testing.T) {
	secrets := NewSecrets(secret, time.Now)
	at := serve(t, newServer(newMedia()))
	changed := client(t, secrets)
	secrets.Set(other)
	if _, err := changed.Node(t.Context(), at); err != nil {
		t.Error(err)
	}
	both := serve(t, newServer(newMedia(), func(o *Options) { o.Secrets = secrets }))
	if _, err := client(t, NewSecrets(secret, time.Now)).Node(t.Context(), both); err != nil {
		t.Error(err)
	}
}

// A stop does not wait for answers that are awaited.
func TestStopLetsGo(t *testing.T) {
	s := newServer(newMedia())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, status := make(chan error, 1), make(chan int, 1)
	go func() { done <- s.Serve(ctx, l) }()
	c := client(t, NewSecrets(secret, time.Now))
	go func() {
		r := request("GET", "http://"+l.Addr().String()+"/live/streams/cam.m3u8", `"1"`)
		res, err := c.HTTP().Do(r)
		if err != nil {
			status <- 0
			return
		}
		res.Body.Close()
		status <- res.StatusCode
	}()
	for s.Held() == 0 {
		select {
		case code := <-status:
			t.Fatal(code)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if code := <-status; code != 503 {
		t.Error(code)
	}
}

// One that stands by is told what there is of a stream, and whether there is any.
func TestPair(t *testing.T) {
	type told struct {
		N    int
		Text string
	}
	text := strings.Repeat("a", 100<<10)
	steps := 0
	at := serve(t, newServer(newMedia(), func(o *Options) {
		o.Pair = func(app, stream string, step bool) (any, bool) {
			if step {
				steps++
			}
			return told{7, text}, app == "live" && stream == "cam"
		}
	}))
	c := client(t, NewSecrets(secret, time.Now))
	var got told
	if ok, err := c.Pair(t.Context(), at, "live", "cam", true, &got, 110<<10); !ok || err != nil || got.N != 7 || got.Text != text || steps != 1 {
		t.Errorf("%v, %v, %+v, %d", ok, err, got, steps)
	}
	if ok, err := c.Pair(t.Context(), at, "live", "cam", false, &got, 10<<10); ok || err == nil || errors.Is(err, ErrAway) {
		t.Errorf("one that is too long: %v, %v", ok, err)
	}
	if ok, err := c.Pair(t.Context(), at, "live", "other", false, &got, 110<<10); ok || err != nil || steps != 1 {
		t.Errorf("%v, %v", ok, err)
	}
	if _, err := c.Pair(t.Context(), at, "live", "", false, &got, 100); err == nil || errors.Is(err, ErrAway) {
		t.Errorf("without a name: %v", err)
	}
}
