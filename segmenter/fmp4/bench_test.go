package fmp4

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// The two benchmarks handle the same ten seconds: written as transport stream, and rendered from that. Both work as the server
// does, over so many segments that none is in the processor's cache any more when its turn comes again: a window of what is
// written, and a cache of what is rendered.

// windows is the number of times that the clip is in memory.
const windows = 2

func BenchmarkMuxer(b *testing.B) {
	w := newWorkload(b)
	b.ReportAllocs()
	for b.Loop() {
		w.mux(b)
	}
	runtime.KeepAlive(w)
}

func BenchmarkRemux(b *testing.B) {
	w := newWorkload(b)
	b.ReportAllocs()
	for b.Loop() {
		w.remux(b)
	}
	runtime.KeepAlive(w)
}

// workload is what both do.
type workload struct {
	frames [windows][]frame
	pool   *mpegts.Pool
	window []*mpegts.Buffer // oldest first

	r     Remuxer
	cache [][]byte // longest unused first
	turn  int
}

func newWorkload(tb testing.TB) *workload {
	w := &workload{pool: new(mpegts.Pool)}
	frames := clip(10, 0)
	for i := range windows {
		w.frames[i] = make([]frame, len(frames))
		for j, f := range frames {
			f.audio = bytes.Clone(f.audio)
			if f.units != nil {
				f.units = [][]byte{bytes.Clone(f.units[0])}
			}
			w.frames[i][j] = f
		}
		w.mux(tb)
		for range 5 {
			w.cache = append(w.cache, make([]byte, 0, 2<<20))
		}
	}
	w.remux(tb)
	return w
}

// mux writes the clip into the window's newest place.
func (w *workload) mux(tb testing.TB) {
	m, err := mpegts.NewMuxer(both())
	if err != nil {
		tb.Fatal(err)
	}
	var b *mpegts.Buffer
	w.turn++
	frames := w.frames[w.turn%windows]
	if frames == nil {
		frames = w.frames[0]
	}
	for i := range frames {
		f := &frames[i]
		if f.idr {
			if b != nil {
				m.FlushAudio(b)
			}
			if len(w.window) == windows*5 {
				w.window[0].Release()
				w.window = append(w.window[:0], w.window[1:]...)
			}
			b = w.pool.Buffer()
			w.window = append(w.window, b)
			m.Begin(b)
		}
		if f.audio != nil {
			m.Audio(b, f.pts, f.audio)
		} else {
			m.Video(b, mpegts.VideoUnit{PTS: f.pts, DTS: f.dts, Units: f.units, IDR: f.idr, ParameterSets: [][]byte{sps264, pps264}})
		}
	}
	m.FlushAudio(b)
}

// remux renders the oldest segments of the window.
func (w *workload) remux(tb testing.TB) {
	var list [64][]byte
	for i := range 5 {
		w.turn++
		b := w.window[w.turn%len(w.window)]
		oldest := w.cache[0]
		copy(w.cache, w.cache[1:])
		out, _, err := w.r.Remux(oldest[:0], b.Slices(list[:0]), Segment{Number: uint64(i), Start: 1 << 40, Duration: 180000})
		if err != nil {
			tb.Fatal(err)
		}
		w.cache[len(w.cache)-1] = out
	}
}

// TestGuardCost guards a ratio, not a time: the best of several interleaved runs of each.
func TestGuardCost(t *testing.T) {
	w := newWorkload(t)
	if n := testing.AllocsPerRun(5, func() { w.remux(t) }); n > 3*5 {
		t.Errorf("%v allocations for five segments", n)
	}
	if testing.Short() || raceEnabled {
		t.Skip("compares speeds: not with -short or -race")
	}
	const most = 0.8 // it is 0.5 to 0.6
	best := func(least *time.Duration, run func(testing.TB)) {
		start := time.Now()
		run(t)
		if d := time.Since(start); *least == 0 || d < *least {
			*least = d
		}
	}
	var rendered, muxed time.Duration
	for range 25 {
		best(&rendered, w.remux)
		best(&muxed, w.mux)
	}
	runtime.KeepAlive(w) // the memory goes with it
	ratio := float64(rendered) / float64(muxed)
	t.Logf("rendered in %v, muxed in %v: %.2f", rendered, muxed, ratio)
	if ratio > most {
		t.Errorf("rendering takes %.2f of what muxing takes, want at most %.2f", ratio, most)
	}
}
