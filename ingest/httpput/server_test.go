package httpput

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/auth"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// equal holds what was listed to what was sent, byte for byte and in order.
func equal(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d segments are listed, %d were sent", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("segment %d is another than was sent", i)
			return
		}
	}
}

// TestSegmentsAreTheSenders: bytes, durations and wall time are as they were sent; the stream goes on without a discontinuity, and ends with
// its sender's.
func TestSegmentsAreTheSenders(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 12, 1)
	for i := range st.segments {
		h.send(st, i)
		h.pass(2 * time.Second)
	}
	rows, bodies := h.listed("show")
	equal(t, bodies, st.segments)
	for i, e := range rows {
		if e.Discontinuity || !e.Independent || e.Sequence != uint64(i) {
			t.Errorf("row %d: %+v", i, e)
		}
		if d := e.Duration - st.rows[i].Duration; d < -2 || d > 2 {
			t.Errorf("row %d lasts %d, the sender says %d", i, e.Duration, st.rows[i].Duration)
		}
		if off := e.Start.Sub(st.rows[i].Start).Abs(); off > 2*time.Millisecond {
			t.Errorf("row %d begins at %s, the sender says %s", i, e.Start, st.rows[i].Start)
		}
	}
	p, ok := h.reg.Publisher(segmenter.Key{App: "live", Stream: "show"})
	if !ok || p.Protocol != "http" || p.Ledger.Video.Written.Load() != 600 || p.Ledger.Video.Received.Load() != 600 {
		t.Errorf("publisher %+v", p)
	}
	if s := h.reg.Timeline("live", "show").Snapshot(); s.State != segmenter.Live || s.Variant.Codecs != "avc1.64001f,mp4a.40.2" || s.Variant.IFrameBandwidth == 0 {
		t.Errorf("state %s, variant %+v", s.State, s.Variant)
	}
	h.put("/live/show/index.m3u8", st.page(0, 11, 5, numbered)+"#EXT-X-ENDLIST\n")
	if _, ok := h.reg.Publisher(segmenter.Key{App: "live", Stream: "show"}); ok {
		t.Error("the sender has ended its stream, and is still a publisher")
	}
	h.pass(20 * time.Second)
	if s := h.reg.Timeline("live", "show").Snapshot(); s.State != segmenter.Ended {
		t.Errorf("the stream is %s after its sender ended it", s.State)
	}
	if n := h.s.Stats.Whole.Load(); n != 12 || h.s.Stats.Remuxed.Load() != 0 || h.s.Stats.Lost.Load() != 0 {
		t.Errorf("stats: %d whole", n)
	}
}

// TestOrder: hundreds of segments and their playlists come in any order within a window, some of them twice. Nothing is lost, nothing comes
// twice, and everything is in its order.
func TestOrder(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 250, 1)
	type request struct {
		path, body string
		at         float64
	}
	rng := rand.New(rand.NewPCG(7, 11))
	var all []request
	for i := range st.segments {
		all = append(all, request{"/live/show/" + numbered(i), string(st.segments[i]), float64(i) + 4*rng.Float64()})
		all = append(all, request{"/live/show/index.m3u8", st.page(0, i, 10, numbered), float64(i) + 4*rng.Float64()})
		if rng.IntN(10) == 0 {
			all = append(all, request{"/live/show/" + numbered(i), string(st.segments[i]), float64(i) + 4*rng.Float64()})
		}
	}
	at := func(i int) float64 { return all[i].at }
	for i := 1; i < len(all); i++ { // they are nearly in order
		for j := i; j > 0 && at(j) < at(j-1); j-- {
			all[j], all[j-1] = all[j-1], all[j]
		}
	}
	for i := range all {
		h.put(all[i].path, all[i].body)
		h.pass(time.Second / 2)
	}
	h.pass(5 * time.Second)
	rows, bodies := h.listed("show")
	equal(t, bodies, st.segments)
	for i, e := range rows {
		if e.Gap || e.Discontinuity {
			t.Fatalf("row %d: %+v", i, e)
		}
	}
}

// TestNamesAgain: a sender that began anew uses its names again. They are new segments, behind a discontinuity.
func TestNamesAgain(t *testing.T) {
	for name, seed := range map[string]byte{"another film": 2, "the same film": 1} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, simple(), auth.App{Open: true})
			first, second := film(t, 6, 1), film(t, 4, seed)
			for i := range first.segments {
				h.send(first, i)
				h.pass(2 * time.Second)
			}
			for i := range second.segments {
				h.send(second, i)
				h.pass(2 * time.Second)
			}
			rows, bodies := h.listed("show")
			equal(t, bodies, append(append([][]byte{}, first.segments...), second.segments...))
			for i, e := range rows {
				if e.Discontinuity != (i == 6) || e.Sequence != uint64(i) {
					t.Errorf("row %d: %+v", i, e)
				}
			}
		})
	}
}

// TestRetries: what is sent twice because an answer was lost is one segment.
func TestRetries(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 6, 1)
	for i := range st.segments {
		h.send(st, i)
		h.send(st, i)
		h.pass(2 * time.Second)
	}
	rows, bodies := h.listed("show")
	equal(t, bodies, st.segments)
	for _, e := range rows {
		if e.Discontinuity {
			t.Errorf("row %+v", e)
		}
	}
	if n := h.s.Stats.Duplicates.Load(); n != 6 {
		t.Errorf("%d duplicates", n)
	}
}

// TestLost: what a playlist names and never comes is waited for, and then a gap, and the log says so.
func TestLost(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 10, 1)
	for i := range st.segments {
		if i != 4 {
			h.put("/live/show/"+numbered(i), string(st.segments[i]))
		}
		h.put("/live/show/index.m3u8", st.page(0, i, 10, numbered))
		if rows, _ := h.listed("show"); i == 6 && len(rows) != 4 {
			t.Errorf("%d rows while segment 4 is awaited", len(rows))
		}
		h.pass(2 * time.Second)
	}
	h.pass(2 * time.Second)
	rows, bodies := h.listed("show")
	want := append([][]byte{}, st.segments...)
	want[4] = nil
	equal(t, bodies, want)
	for i, e := range rows {
		if e.Gap != (i == 4) || e.Discontinuity {
			t.Errorf("row %d: %+v", i, e)
		}
	}
	if h.s.Stats.Lost.Load() != 1 || !strings.Contains(h.logged(), "did not come") {
		t.Errorf("lost: %d; log: %s", h.s.Stats.Lost.Load(), h.logged())
	}
}

// TestJoins: a server that starts in the middle of a show goes on with what it is sent, and does not wait for what was sent before.
func TestJoins(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 12, 1)
	for i := 6; i < 12; i++ {
		h.send(st, i)
		h.pass(2 * time.Second)
	}
	_, bodies := h.listed("show")
	equal(t, bodies, st.segments[6:])
}

// TestBackup: a second sender stands by, and goes on when the first falls silent; what both have sent is not there twice.
func TestBackup(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Keys: map[string]string{"show": "secret"}})
	st := film(t, 20, 1)
	other := film(t, 20, 9) // the same pictures from another encoder
	send := func(from string, st *studio, i int) {
		t.Helper()
		for path, body := range map[string]string{numbered(i): string(st.segments[i])} {
			if w := h.from(from, http.MethodPut, "/live/show/"+path+"?key=secret", body); w.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", from, w.Code, w.Body)
			}
		}
		if w := h.from(from, http.MethodPut, "/live/show/index.m3u8?key=secret", st.page(0, i, 5, numbered)); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", from, w.Code, w.Body)
		}
	}
	for i := range 20 {
		if i < 10 {
			send("192.0.2.1:100", st, i)
		}
		send("192.0.2.2:100", other, i)
		h.pass(2 * time.Second)
	}
	_, bodies := h.listed("show")
	equal(t, bodies, append(append([][]byte{}, st.segments[:10]...), other.segments[10:]...))
	if n := h.s.Stats.Takeovers.Load(); n != 1 {
		t.Errorf("%d takeovers", n)
	}
	if w := h.from("192.0.2.9:1", http.MethodPut, "/live/show/x.ts?key=wrong", "x"); w.Code != http.StatusForbidden {
		t.Errorf("a wrong key: %d", w.Code)
	}
}

// TestSilence: a sender that sends nothing any more has left.
func TestSilence(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 3, 1)
	for i := range st.segments {
		h.send(st, i)
		h.pass(2 * time.Second)
	}
	if s := h.reg.Timeline("live", "show").Snapshot(); s.State != segmenter.Live {
		t.Errorf("%s between two segments", s.State)
	}
	h.pass(10 * time.Second)
	if s := h.reg.Timeline("live", "show").Snapshot(); s.State != segmenter.Stalled {
		t.Errorf("%s while nothing comes", s.State)
	}
	h.pass(25 * time.Second)
	if _, ok := h.reg.Publisher(segmenter.Key{App: "live", Stream: "show"}); ok {
		t.Error("it is still a publisher")
	}
}

// TestSentAway: a publisher that an operator sends away is told so once, and may come back.
func TestSentAway(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 4, 1)
	h.send(st, 0)
	h.pass(2 * time.Second)
	if n := h.reg.Disconnect(segmenter.Key{App: "live", Stream: "show"}, errSilent); n != 1 {
		t.Fatalf("%d sent away", n)
	}
	if w := h.from("127.0.0.1:1", http.MethodPut, "/live/show/"+numbered(1), string(st.segments[1])); w.Code < 400 || !strings.Contains(w.Body.String(), errSilent.Error()) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for i := 1; i < 4; i++ {
		h.send(st, i)
		h.pass(2 * time.Second)
	}
	rows, bodies := h.listed("show")
	equal(t, bodies, st.segments)
	if !rows[1].Discontinuity {
		t.Error("no discontinuity where it came back")
	}
}
