package peer

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// ask sends a request to a server without a network.
func ask(s *Server, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	now := time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)
	s := newServer(newMedia(), func(o *Options) { o.Now = func() time.Time { return now } })
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/cluster/v1/node", 200, `"clock":"2024-05-01T10:00:00Z"`},
		{"GET", "/cluster/v1/state/live/cam", 200, `{"node":"a","fed":true,"recording":"r","remote":"192.0.2.1:5","since":"1970-01-01T00:00:01Z"}`},
		{"GET", "/cluster/v1/state/live/other", 200, `"fed":false`},
		{"GET", "/cluster/v1/state/live", 404, "{app}/{stream}"},
		{"GET", "/cluster/v1/state/live/", 404, "{app}/{stream}"},
		{"GET", "/cluster/v1/state/live/cam/x", 404, "{app}/{stream}"},
		{"GET", "/live/streams/cam.m3u8", 200, "one"},
		{"GET", "/cluster/streams/cam.m3u8", 200, "one"}, // an app may be called so
		{"POST", "/live/streams/cam.m3u8", 405, "GET"},
		{"DELETE", "/cluster/v1/node", 405, "GET"},
	} {
		w := ask(s, request(c.method, c.path, ""))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
	r := request("GET", "/cluster/v1/node", "")
	r.ContentLength = 5
	if w := ask(s, r); w.Code != 400 {
		t.Errorf("a body: %d", w.Code)
	}
}

// Who does not know the secret learns nothing, whatever he asks for, and is named.
func TestSecret(t *testing.T) {
	var warned []string
	m := newMedia()
	s := newServer(m, func(o *Options) { o.Warn = func(_, who, _ string, _ ...any) { warned = append(warned, who) } })
	for _, value := range []string{"", "Bearer", "Bearer ", "Bearer " + other, secret, "Basic " + secret, "Bearer " + secret + "x"} {
		for _, path := range []string{"/cluster/v1/node", "/cluster/v1/state/live/cam", "/live/streams/cam.m3u8", "/healthz"} {
			r := request("GET", path, "")
			r.Header.Set("Authorization", value)
			r.RemoteAddr = "192.0.2.7:1234"
			if w := ask(s, r); w.Code != 401 || strings.Contains(w.Body.String(), "one") {
				t.Errorf("%q %s: %d %s", value, path, w.Code, w.Body)
			}
		}
	}
	if m.asked > 0 || len(warned) != 28 || warned[0] != "192.0.2.7" {
		t.Errorf("%d asked, %q", m.asked, warned)
	}
}

// The secret before counts for five minutes.
func TestSecretIsChanged(t *testing.T) {
	now := time.Unix(0, 0)
	secrets := NewSecrets(former, func() time.Time { return now })
	s := newServer(newMedia(), func(o *Options) { o.Secrets = secrets })
	status := func(value string) int {
		r := request("GET", "/cluster/v1/node", "")
		r.Header.Set("Authorization", "Bearer "+value)
		return ask(s, r).Code
	}
	if status(former) != 200 || status(secret) != 401 {
		t.Error("before")
	}
	secrets.Set(secret)
	secrets.Set(secret) // a reload that changes something else
	secrets.Set("")
	if status(former) != 200 || status(secret) != 200 || status("") != 401 {
		t.Error("just after")
	}
	now = now.Add(secretGrace + time.Second)
	if status(former) != 401 || status(secret) != 200 || status("") != 401 {
		t.Error("later")
	}
}
