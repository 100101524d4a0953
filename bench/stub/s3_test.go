package stub

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestBucketRemembersSizesOnly(t *testing.T) {
	b := new(Bucket)
	do := func(method, path, body string) *http.Response {
		w := httptest.NewRecorder()
		b.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w.Result()
	}
	if r := do("HEAD", "/bench", ""); r.StatusCode != http.StatusOK {
		t.Errorf("bucket: %d", r.StatusCode)
	}
	if r := do("HEAD", "/bench/a/b.ts", ""); r.StatusCode != http.StatusNotFound {
		t.Errorf("before put: %d", r.StatusCode)
	}
	if r := do("PUT", "/bench/a/b.ts", "12345"); r.StatusCode != http.StatusOK || r.Header.Get("ETag") == "" {
		t.Errorf("put: %d", r.StatusCode)
	}
	if r := do("HEAD", "/bench/a/b.ts", ""); r.StatusCode != http.StatusOK || r.Header.Get("Content-Length") != "5" {
		t.Errorf("after put: %d, %v", r.StatusCode, r.Header)
	}
	if b.Puts.Load() != 1 || b.Bytes.Load() != 5 {
		t.Errorf("%d puts, %d bytes", b.Puts.Load(), b.Bytes.Load())
	}
	do("DELETE", "/bench/a/b.ts", "")
	if r := do("HEAD", "/bench/a/b.ts", ""); r.StatusCode != http.StatusNotFound {
		t.Errorf("after delete: %d", r.StatusCode)
	}
	if r := do("GET", "/bench?list-type=2", ""); r.StatusCode != http.StatusOK {
		t.Errorf("listing: %d", r.StatusCode)
	}
}
