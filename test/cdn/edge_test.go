package cdn

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestEdgeBehavesAsCloudFront checks the rig itself against CloudFront's manual, with a server with prepared answers: a test behind an edge
// that behaves differently would prove nothing.
func TestEdgeBehavesAsCloudFront(t *testing.T) {
	t.Parallel()
	rig.Need(t, "varnishd")
	var status atomic.Int64
	var age atomic.Value // Cache-Control
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Origin-Secret") != cdnSecret {
			t.Errorf("%s came without the secret", r.URL)
		}
		if s := age.Load().(string); s != "" {
			w.Header().Set("Cache-Control", s)
		}
		code := int(status.Load())
		w.Header().Set("ETag", `"one`+r.Header.Get("Accept-Encoding")+`"`)
		w.Header().Set("Vary", "Accept-Encoding")
		if code == http.StatusOK && r.Header.Get("If-None-Match") == w.Header().Get("ETag") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte("body of " + r.URL.RequestURI()))
	}))
	defer srv.Close()
	answer := func(code int, cacheControl string) {
		age.Store(cacheControl)
		status.Store(int64(code))
	}
	answer(http.StatusOK, "public, max-age=1")
	p := rig.Serve(t, t.TempDir(), behindEdge) // for its template
	c := frontOf(t, rulesFor(t, p, false), strings.TrimPrefix(srv.URL, "http://"), "")

	want := func(path string, code int, reached int, fields ...string) string {
		t.Helper()
		before := len(c.tap.log.since(time.Time{}))
		res, body := c.ask(t, path, fields...)
		if res.StatusCode != code {
			t.Errorf("%s: %s, want %d", path, res.Status, code)
		}
		if n := len(c.tap.log.since(time.Time{})) - before; n != reached {
			t.Errorf("%s: %d requests reached the server, want %d (%s)", path, n, reached, res.Header.Get("X-Cache"))
		}
		return body
	}

	// The key: path, four parameters in a playlist's, gzip or not.
	if got := want("streams/a.m3u8?x=1&start=5&session=7&time_delay=3&starts=1", 200, 1); got != "body of /live/streams/a.m3u8?start=5&time_delay=3" {
		t.Errorf("the server was asked for %q", got)
	}
	want("streams/a.m3u8?start=5&time_delay=3&_HLS_msn=4", 200, 0, "Cookie", "a=b")
	want("streams/a.m3u8?start=5&time_delay=3", 200, 1, "Accept-Encoding", "gzip, br")
	want("streams/a.m3u8?start=5&time_delay=3", 200, 0, "Accept-Encoding", "deflate, gzip;q=0.5")
	want("streams/a/1.ts?start=5", 200, 1)
	want("streams/a/1.ts?x=7", 200, 0, "Accept-Encoding", "gzip")

	// A copy past its age is revalidated by its ETag.
	want("streams/b.m3u8", 200, 1)
	time.Sleep(1100 * time.Millisecond)
	want("streams/b.m3u8", 200, 1)
	if all := c.tap.log.since(time.Time{}); all[len(all)-1].status != http.StatusNotModified {
		t.Errorf("not asked by its ETag: %d", all[len(all)-1].status)
	}

	// A failing server: the copy is served, and the server asked once a second.
	answer(http.StatusServiceUnavailable, "no-store")
	time.Sleep(1100 * time.Millisecond)
	for i := range 5 {
		want("streams/b.m3u8", 200, map[bool]int{true: 1}[i == 0])
	}
	time.Sleep(1100 * time.Millisecond)
	want("streams/b.m3u8", 200, 1)
	want("streams/new.m3u8", 503, 1) // no copy
	want("streams/new.m3u8", 503, 0)
	// The same for a server that is away.
	c.tap.shut()
	time.Sleep(1100 * time.Millisecond)
	want("streams/b.m3u8", 200, 0)
	if res, _ := c.ask(t, "streams/away.m3u8"); res.StatusCode != 503 {
		t.Errorf("away: %s", res.Status)
	}
	c.tap.open()
	answer(http.StatusOK, "public, max-age=1, stale-if-error=1")
	time.Sleep(1100 * time.Millisecond)
	want("streams/b.m3u8", 200, 1)
	answer(http.StatusInternalServerError, "")
	time.Sleep(1100 * time.Millisecond)
	want("streams/b.m3u8", 200, 1)
	time.Sleep(1100 * time.Millisecond) // the server has limited it
	want("streams/b.m3u8", 500, 1)

	// A 404 passes at once, with or without a copy, and is kept for 3 s though the server says 1.
	answer(http.StatusNotFound, "max-age=1")
	time.Sleep(1100 * time.Millisecond)
	want("streams/b.m3u8", 404, 1)
	time.Sleep(1500 * time.Millisecond)
	want("streams/b.m3u8", 404, 0)
	answer(http.StatusOK, "")
	time.Sleep(1700 * time.Millisecond)
	want("streams/b.m3u8", 200, 1)
	time.Sleep(500 * time.Millisecond) // no age: the default of the policy, 1 s
	want("streams/b.m3u8", 200, 0)
	time.Sleep(700 * time.Millisecond)
	want("streams/b.m3u8", 200, 1)
}
