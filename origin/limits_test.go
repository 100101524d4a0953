package origin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
)

func TestLimitSlowHeaders(t *testing.T) {
	engines1(t, Options{ReadHeaderTimeout: 50 * time.Millisecond}, func(t *testing.T, r *rig) {
		c := r.dial(t)
		io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		// Whatever the answer, the connection ends.
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("connection: %v", err)
		}
		await(t, "the end of the connection", func() bool { return r.origin.Stats().Connections.Load() == 0 })
	})
}

func TestLimitIdle(t *testing.T) {
	engines1(t, Options{IdleTimeout: 50 * time.Millisecond}, func(t *testing.T, r *rig) {
		c := r.dial(t)
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		b := bufio.NewReader(c)
		if _, err := http.ReadResponse(b, nil); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := io.Copy(io.Discard, b); err != nil || time.Since(begin) > 5*time.Second {
			t.Errorf("closed after %v: %v", time.Since(begin), err)
		}
	})
}

func TestDefaultIdleTimeOutOutlastsCloudFront(t *testing.T) {
	if got := New(Options{Streams: nowhere{}, Now: time.Now}).opts.IdleTimeout; got <= 120*time.Second {
		t.Errorf("%v", got)
	}
}

func TestLimitViewerThatTakesNothing(t *testing.T) {
	engines1(t, Options{WriteTimeout: 100 * time.Millisecond}, func(t *testing.T, r *rig) {
		e := r.publish("big")
		e.size = 400_000
		e.run(13 * time.Second)
		for _, source := range []string{"memory", "archive"} {
			before := r.origin.Stats().SlowViewers.Load()
			c := r.dial(t)
			path := r.segment("big", 1)
			if source == "archive" {
				path = "/live/streams/big/2020-01-01_00-00-00.000/000000001.ts"
				r.archive.put(t, path, make([]byte, 30<<20))
			}
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			await(t, source+": the drop", func() bool { return r.origin.Stats().SlowViewers.Load() == before+1 })
			await(t, source+": the end of the connection", func() bool { return r.origin.Stats().Connections.Load() == 0 })
		}
	})
}

func TestSlowViewerIsServedWhileItTakesSomething(t *testing.T) {
	engines1(t, Options{WriteTimeout: 600 * time.Millisecond}, func(t *testing.T, r *rig) {
		e := r.publish("big")
		e.size = 400_000
		e.run(13 * time.Second)
		path := r.segment("big", 1)
		archived := "/live/streams/big/2020-01-01_00-00-00.000/000000001.ts"
		r.archive.put(t, archived, make([]byte, 30<<20))
		for _, path := range []string{path, archived} {
			c := r.dial(t)
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			b := bufio.NewReader(c)
			res, err := http.ReadResponse(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			// Longer than the timeout in total, never that long without a byte.
			var n int64
			tick := time.NewTicker(60 * time.Millisecond)
			defer tick.Stop()
			for range 14 {
				<-tick.C
				m, err := io.CopyN(io.Discard, res.Body, 1<<20)
				n += m
				if err != nil {
					t.Fatalf("cut after %d: %v", n, err)
				}
			}
			m, err := io.Copy(io.Discard, res.Body)
			if err != nil || n+m != res.ContentLength {
				t.Errorf("%d of %d: %v", n+m, res.ContentLength, err)
			}
		}
		if got := r.origin.Stats().SlowViewers.Load(); got != 0 {
			t.Errorf("%d dropped", got)
		}
	})
}

// When every connection is busy, a new one is refused, except for health checks.
func TestLimitConnections(t *testing.T) {
	engines1(t, Options{MaxConnections: 2, TargetDuration: time.Hour, MaxHold: time.Hour}, func(t *testing.T, r *rig) {
		r.publish("cam").run(time.Second)
		var held []net.Conn
		for range 2 {
			c := r.dial(t)
			fmt.Fprint(c, "GET /live/streams/cam.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n")
			held = append(held, c)
		}
		await(t, "two held requests", func() bool { return r.origin.Stats().Held.Load() == 2 })
		r.get("/live/streams/other.m3u8").want(t, 503, "Retry-After", "1", "Cache-Control", "no-store")
		if got := r.origin.Stats().Refused.Load(); got != 1 {
			t.Errorf("%d refused", got)
		}
		if a := r.get("/healthz"); a.StatusCode != 200 || !a.Close && r.mode != http2 {
			t.Errorf("%d, close %v", a.StatusCode, a.Close)
		}
		for _, c := range held {
			c.Close()
		}
		await(t, "their end", func() bool { return r.origin.Stats().Connections.Load() == 0 })
		r.get("/live/streams/other.m3u8").want(t, 404)
	})
}

func TestLimitHeaderBytes(t *testing.T) {
	engines1(t, Options{}, func(t *testing.T, r *rig) {
		r.get("/healthz", "X-Filler", strings.Repeat("a", 30<<10)).want(t, 200)
		r.raw("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Filler: "+strings.Repeat("a", 40<<10)+"\r\n\r\n", "GET")[0].want(t, 431)
	})
}

func TestAnswersFitTheirTable(t *testing.T) {
	// A ranged, compressed live playlist with an allow-list has the most header fields.
	r := newRig(t, Options{CORSOrigins: []string{"https://a.example"}})
	r.publish("cam").run(21 * time.Second)
	var res http1.Response
	r.origin.answer(t.Context(), &http1.Request{
		Method: http1.MethodGet, Path: r.live("cam"), AcceptEncoding: "gzip", Range: "bytes=0-9", Origin: "https://a.example",
	}, &res)
	if res.Status != 206 || len(res.Fields()) > http1.MaxFields-2 {
		t.Errorf("status %d, %d fields of %d", res.Status, len(res.Fields()), http1.MaxFields)
	}
}

func TestPlaylistCostsTwoAllocations(t *testing.T) {
	r := newRig(t, Options{})
	r.publish("cam").run(21 * time.Second)
	for _, encoding := range []string{"", "gzip"} {
		req := httptest.NewRequest("GET", "http://x"+r.live("cam"), nil)
		if encoding != "" {
			req.Header.Set("Accept-Encoding", encoding)
		}
		w := &discard{h: http.Header{}}
		if n := testing.AllocsPerRun(200, func() {
			clear(w.h)
			r.origin.ServeHTTP(w, req)
		}); n > 2 {
			t.Errorf("%q: %v allocations", encoding, n)
		}
		if w.status != 200 || w.n == 0 {
			t.Errorf("status %d, %d bytes", w.status, w.n)
		}
	}
}

// discard is a ResponseWriter that drops everything.
type discard struct {
	h      http.Header
	status int
	n      int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { d.n += len(b); return len(b), nil }
