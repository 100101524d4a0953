package httpput

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/auth"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// TestLateSegments: segments that come when the stream has gone on without them, while playlists still name them, are let go of. What is
// listed stays in order, and nothing that came in time is lost for them.
func TestLateSegments(t *testing.T) {
	for name, c := range map[string]struct {
		late, comes int  // segments before which are late, and with which they come
		from        int  // the first that is late
		unnamed     bool // by the playlists, until they come
		gaps        int
	}{
		"one":                        {from: 5, late: 6, comes: 11, gaps: 1},
		"several":                    {from: 4, late: 7, comes: 12, gaps: 3},
		"those before the first":     {from: 0, late: 3, comes: 6},
		"playlists overtaken by far": {from: 5, late: 7, comes: 10, unnamed: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, simple(), auth.App{Open: true})
			st := film(t, 16, 1)
			late := func(i int) bool { return c.from <= i && i < c.late }
			for i := range st.segments {
				if !late(i) {
					h.put("/live/show/"+numbered(i), string(st.segments[i]))
				}
				if i == c.comes {
					for k := c.from; k < c.late; k++ {
						h.put("/live/show/"+numbered(k), string(st.segments[k]))
					}
				}
				if window := 10; !c.unnamed || !late(i) && (i >= c.comes || i < c.from) {
					h.put("/live/show/index.m3u8", st.page(0, i, window, numbered))
				} else if !late(i) {
					h.put("/live/show/index.m3u8", st.page(0, i, i-c.late+1, numbered))
				}
				h.pass(2 * time.Second)
			}
			h.pass(4 * time.Second)
			var want [][]byte
			for i, b := range st.segments {
				switch {
				case !late(i):
					want = append(want, b)
				case c.gaps > 0:
					want = append(want, nil)
				}
			}
			rows, bodies := h.listed("show")
			equal(t, bodies, want)
			gaps := 0
			for _, e := range rows {
				if e.Gap {
					gaps++
				}
			}
			if gaps != c.gaps {
				t.Errorf("%d gaps, want %d", gaps, c.gaps)
			}
			if n := h.s.Stats.Unnamed.Load(); n != uint64(c.late-c.from) || !strings.Contains(h.logged(), "had gone on without it") {
				t.Errorf("%d of %d late segments are counted; the log: %s", n, c.late-c.from, h.logged())
			}
		})
	}
}

// TestStopListsWhatWasNamed: a stop in good order passes on what was named and acknowledged, also what waited for its turn, for a
// multivariant playlist, or for a segment that did not come.
func TestStopListsWhatWasNamed(t *testing.T) {
	for name, missing := range map[string]int{"all came": -1, "one did not": 8, "the last did not": 15} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, simple(), auth.App{Open: true})
			st := film(t, 16, 1)
			var want [][]byte
			for i, b := range st.segments {
				if i == missing {
					b = nil
				} else {
					h.put("/live/show/"+numbered(i), string(b))
				}
				if i < 15 || b != nil {
					want = append(want, b)
				}
			}
			h.put("/live/show/index.m3u8", st.page(0, 15, 16, numbered))
			h.s.endAll(ingest.ErrShutdown)
			_, bodies := h.listed("show")
			equal(t, bodies, want)
		})
	}
}

// TestLongTargetDuration: a playlist that says that its segments last a day does not keep the stream's name for its sender for three.
func TestLongTargetDuration(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 3, 1)
	for i := range st.segments {
		h.put("/live/show/"+numbered(i), string(st.segments[i]))
	}
	h.put("/live/show/index.m3u8", strings.Replace(st.page(0, 2, 16, numbered), "TARGETDURATION:2", "TARGETDURATION:86400", 1))
	h.pass(2 * time.Minute)
	if n := h.s.Stats.Publishers.Load(); n != 1 {
		t.Fatalf("%d publishers", n)
	}
	h.pass(2 * time.Minute)
	if n := h.s.Stats.Publishers.Load(); n != 0 || len(h.s.all()) != 0 {
		t.Errorf("%d publishers, %d streams, four minutes after the last request", n, len(h.s.all()))
	}
}

// TestNamedFarAhead: what playlists name and does not come is bounded, however much they name.
func TestNamedFarAhead(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 3, 1)
	name := func(first, n int) *httptest.ResponseRecorder {
		var b strings.Builder
		fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:%d\n", first)
		for i := range n {
			fmt.Fprintf(&b, "#EXTINF:2,\nseg%d.ts\n", first+i)
		}
		return h.from("127.0.0.1:5000", http.MethodPut, "/live/show/index.m3u8", b.String())
	}
	known := func() int {
		w, err := h.s.show(showKey{"live", "show"})
		if err != nil {
			t.Fatal(err)
		}
		defer w.mu.Unlock()
		return len(w.inputs[0].lines["index.m3u8"].entries)
	}
	for k := range 5 { // a show of hours, none of whose segments this server has seen
		if w := name(0, 10000+k); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	h.put("/live/show/seg10003.ts", string(st.segments[0]))
	name(0, 10004)
	h.pass(4 * time.Second)
	if rows, _ := h.listed("show"); len(rows) != 1 || known() != 0 {
		t.Errorf("%d segments are listed, %d others are known", len(rows), known())
	}
	refused := 0
	for k := range 5 {
		if w := name(20000+k*10000, 2000); w.Code != http.StatusOK {
			if refused++; w.Code != http.StatusUnsupportedMediaType || !strings.Contains(w.Body.String(), "before they are named") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
	}
	if refused == 0 || known() > maxAhead {
		t.Errorf("%d of 5 playlists are refused, %d segments are known", refused, known())
	}
}

// TestEndTwice: the last playlist of a show comes once more. What its sender sends next begins as if it had not.
func TestEndTwice(t *testing.T) {
	for name, again := range map[string]func(int) string{"names again": numbered, "other names": func(i int) string { return fmt.Sprintf("other%d.ts", i) }} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, simple(), auth.App{Open: true})
			first, second := film(t, 6, 1), film(t, 9, 2)
			for i := range first.segments {
				h.send(first, i)
				h.pass(2 * time.Second)
			}
			for _, later := range []time.Duration{12 * time.Second, time.Second} { // it is still the same recording
				h.put("/live/show/index.m3u8", first.page(0, 5, 5, numbered)+"#EXT-X-ENDLIST\n")
				h.pass(later)
			}
			for i := range second.segments {
				h.put("/live/show/"+again(i), string(second.segments[i]))
				h.put("/live/show/index.m3u8", second.page(0, i, 5, again))
				h.pass(2 * time.Second)
			}
			_, bodies := h.listed("show")
			equal(t, bodies, append(append([][]byte{}, first.segments...), second.segments...))
			if _, ok := h.reg.Publisher(segmenter.Key{App: "live", Stream: "show"}); !ok {
				t.Error("the second show was ended by the first")
			}
			if n := strings.Count(h.logged(), "publisher left"); n != 1 {
				t.Errorf("the publisher left %d times", n)
			}
		})
	}
}
