package origin

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// grumpy is a Streams with a bug for one stream.
type grumpy struct{ *rig }

func (g grumpy) Timeline(app, stream string) *segmenter.Timeline {
	if stream == "bug" {
		panic("a bug")
	}
	return g.rig.Timeline(app, stream)
}

func TestABugHarmsItsOwnConnectionOnly(t *testing.T) {
	for _, mode := range []string{pollers, goroutines, overTLS, http2} {
		told := make(chan string, 1)
		r := newRigOver(t, Options{Warn: func(kind, _, _ string, _ ...any) { told <- kind }}, mode)
		r.publish("cam").run(21 * time.Second)
		r.origin.opts.Streams = grumpy{r}
		r.serve()
		if mode == http2 {
			if res, err := r.client().Get(r.url + "/live/streams/bug.m3u8"); err == nil {
				res.Body.Close()
				t.Error("an answer out of a bug")
			}
		} else {
			c := r.dial(t)
			fmt.Fprint(c, "GET /live/streams/bug.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
				t.Error("an answer out of a bug")
			}
		}
		if kind := <-told; kind != "http-panic" {
			t.Errorf("%s: told of %s", mode, kind)
		}
		r.get("/live/streams/cam.m3u8").want(t, 200)
		await(t, "the end of the requests", func() bool { return r.origin.Stats().InFlight.Load() == 0 })
	}
}

func TestStatsTellWhatWasServed(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		r.get("/live/streams/cam.m3u8")
		r.get(r.live("cam"), "If-None-Match", "*")
		size := len(r.get(r.segment("cam", 1)).body)
		r.do("HEAD", r.segment("cam", 1))
		r.get("/nothing")
		st := r.origin.Stats()
		count := func() (n int64) {
			for i := range st.Latency {
				n += st.Latency[i].Load()
			}
			return n
		}
		await(t, "the last request to be counted", func() bool { return count() == 5 })
		for _, c := range []struct {
			kind  Kind
			class int
			n     int64
		}{{KindEntry, 2, 1}, {KindLive, 3, 1}, {KindSegment, 2, 2}, {KindOther, 4, 1}} {
			if got := st.Requests[c.kind][c.class].Load(); got != c.n {
				t.Errorf("%v %dxx: %d, want %d", c.kind, c.class, got, c.n)
			}
		}
		if got := st.Bytes[KindSegment].Load(); got != int64(size) {
			t.Errorf("%d segment bytes, want %d", got, size)
		}
		if st.LatencySum.Load() <= 0 {
			t.Error("no latency")
		}
	})
}

// TestIdleConnectionsAreCheap opens keep-alive connections that have each been served once, like a CDN's, and measures their memory. The
// clients' ends are in the same process and are included.
func TestIdleConnectionsAreCheap(t *testing.T) {
	const conns, limit = 300, 16 << 10
	r := newRig(t, Options{})
	r.publish("cam").run(21 * time.Second)
	r.serve()
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", r.live("cam"))
	buf := make([]byte, 8192)
	weigh := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse + m.StackInuse)
	}
	before := weigh()
	open := make([]net.Conn, conns)
	for i := range open {
		open[i] = r.dial(t)
		if _, err := open[i].Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		if _, err := open[i].Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	if each := (weigh() - before) / conns; each > limit {
		t.Errorf("%d bytes for each idle connection", each)
	} else {
		t.Logf("%d bytes for each idle connection", each)
	}
}
