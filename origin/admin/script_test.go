package admin

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestScript(t *testing.T) {
	if res, body := get(t, New(Options{}), "localhost", ScriptPath); res.StatusCode != 404 || !strings.Contains(body, "make web") {
		t.Errorf("without one: %d %s", res.StatusCode, body)
	}
	s := New(Options{Script: []byte("hls")})
	res, body := get(t, s, "localhost", ScriptPath)
	if res.StatusCode != 200 || body != "hls" || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/javascript") || res.Header.Get("ETag") == "" {
		t.Errorf("%d %q %v", res.StatusCode, body, res.Header)
	}
	r := httptest.NewRequest("GET", "http://localhost"+ScriptPath, nil)
	r.Header.Set("If-None-Match", res.Header.Get("ETag"))
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 304 || w.Body.Len() > 0 {
		t.Errorf("the same again: %d %q", w.Code, w.Body)
	}
}

// A build without `make web` has none, one with it has the whole: never anything else.
func TestEmbeddedScript(t *testing.T) {
	if body := EmbeddedScript(); body != nil && len(body) < 100<<10 {
		t.Errorf("%d bytes", len(body))
	}
}
