package control

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		line, method, path string // no method: the line is invalid
	}{
		{"streams", "GET", "/v1/streams"}, {"reload", "POST", "/v1/reload"}, {"retry", "POST", "/v1/uploads/retry"}, {"sync", "GET", "/v1/sync?timeout=1m30s"},
		{"kick live/cam", "DELETE", "/v1/streams/live/cam"}, {"kick live/cam reason", "DELETE", "/v1/streams/live/cam"}, {"end live/cam", "POST", "/v1/streams/live/cam/end"},
		{"kick live/../cam", "DELETE", "/v1/streams/live/..%2Fcam"}, {"log-level warn", "PUT", "/v1/log-level"},
		{"clip live/cam 2023-08-24T16:02:52Z 90s goal", "POST", "/v1/clips"}, {"clip live/cam 5m now goal", "POST", "/v1/clips"}, {"clips", "GET", "/v1/clips"},
		{"cue live/cam 30s", "POST", "/v1/streams/live/cam/cue"}, {"cue live/cam", "", ""}, {"cue live/cam thirty", "", ""}, {"cue cam 30s", "", ""},
		{"metadata live/cam", "", ""}, {"metadata cam", "", ""}, {"metadata", "", ""}, {"metadata live/cam song", "", ""},
		{"clips live/cam", "GET", "/v1/clips?app=live&stream=cam"}, {"unclip live/goal-1", "DELETE", "/v1/clips/live/goal-1"},
		{"clip live/cam 16:02 now goal", "", ""}, {"clip live/cam -5m now goal", "", ""}, {"clip cam 5m now goal", "", ""}, {"clip live/cam 5m now", "", ""}, {"unclip goal", "", ""}, {"clips a b", "", ""},
		{"streams live", "", ""}, {"kick", "", ""}, {"kick cam", "", ""}, {"kick /cam", "", ""}, {"kick live/", "", ""}, {"end a/b c d", "", ""}, {"log-level", "", ""}, {"reload now", "", ""}, {"restart", "", ""},
	} {
		words := strings.Fields(tc.line)
		c, err := Parse(words[0], words[1:], Flags{Timeout: 90 * time.Second, Now: time.Unix(1e9, 0)})
		if (err == nil) != (tc.method != "") || err == nil && (c.method != tc.method || c.path != tc.path) {
			t.Errorf("%s: %+v, %v", tc.line, c, err)
		}
	}
}

func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{":5081": "127.0.0.1:5081", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "127.0.0.1:1", "10.0.0.1:1": "10.0.0.1:1", "admin.example:1": "admin.example:1", "5081": ""} {
		if got, err := Reachable(listen); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", listen, got, err)
		}
	}
}

// If the server refuses, the error has its words, or the status if the answer is not a problem document. The token is sent, and to nobody
// else.
func TestRefusals(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	var answer func(w http.ResponseWriter, r *http.Request)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("asked with %v", r.Header)
		}
		answer(w, r)
	}))
	defer server.Close()
	for _, tc := range []struct {
		status     int
		body, says string
	}{
		{409, `{"detail":"correct line 3"}`, "correct line 3"}, {401, `{"detail":"not known here"}`, configs.TokenVariable}, {404, "404 page not found", "404 Not Found"},
		{302, "", "302 Found"}, {502, "<html>", "502 Bad Gateway"},
	} {
		answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(tc.status)
			_, _ = w.Write([]byte(tc.body))
		}
		c, err := Parse("reload", nil, Flags{})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err = c.Do(t.Context(), &out, server.Listener.Addr().String(), []string{"A=b", configs.TokenVariable + "=secret"})
		if err == nil || !strings.Contains(err.Error(), tc.says) || out.Len() > 0 || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d: %v, %q", tc.status, err, out.String())
		}
	}
}
