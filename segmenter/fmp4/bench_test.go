package fmp4

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// The two benchmarks handle the same ten seconds: written as transport stream, and rendered from that.

func BenchmarkMuxer(b *testing.B) {
	frames, pool := clip(10, 0), new(mpegts.Pool)
	b.ReportAllocs()
	for b.Loop() {
		mux(b, frames, pool)
	}
}

func BenchmarkRemux(b *testing.B) {
	segments := muxed(b, clip(10, 0), both())
	var lists [][][]byte
	for _, s := range segments {
		lists = append(lists, pieces(s))
	}
	var r Remuxer
	dst := make([]byte, 0, 4<<20) // the muxer's buffers are used again, too
	b.ReportAllocs()
	for b.Loop() {
		remux(b, &r, dst, lists)
	}
}

func mux(tb testing.TB, frames []frame, pool *mpegts.Pool) {
	m, err := mpegts.NewMuxer(both())
	if err != nil {
		tb.Fatal(err)
	}
	var b *mpegts.Buffer
	for i := range frames {
		f := &frames[i]
		if f.idr {
			if b != nil {
				m.FlushAudio(b)
				b.Release()
			}
			b = pool.Buffer()
			m.Begin(b)
		}
		if f.audio != nil {
			m.Audio(b, f.pts, f.audio)
		} else {
			m.Video(b, mpegts.VideoUnit{PTS: f.pts, DTS: f.dts, Units: f.units, IDR: f.idr, ParameterSets: [][]byte{sps264, pps264}})
		}
	}
	m.FlushAudio(b)
	b.Release()
}

func remux(tb testing.TB, r *Remuxer, dst []byte, segments [][][]byte) {
	for i, s := range segments {
		if _, _, err := r.Remux(dst, s, Segment{Number: uint64(i), Start: 1 << 40, Duration: 180000}); err != nil {
			tb.Fatal(err)
		}
	}
}

// TestCost guards a ratio, not a time: the best of several interleaved runs of each.
func TestCost(t *testing.T) {
	segments := muxed(t, clip(10, 0), both())
	var lists [][][]byte
	for _, s := range segments {
		lists = append(lists, pieces(s))
	}
	var r Remuxer
	dst := make([]byte, 0, 4<<20) // the muxer's buffers are used again, too
	remux(t, &r, dst, lists)
	if n := testing.AllocsPerRun(5, func() { remux(t, &r, dst, lists) }); n > float64(3*len(lists)) {
		t.Errorf("%v allocations for %d segments", n, len(lists))
	}
	if testing.Short() || raceEnabled {
		t.Skip("compares speeds: not with -short or -race")
	}
	const most = 0.6
	frames, pool := clip(10, 0), new(mpegts.Pool)
	best := func(least *time.Duration, run func()) {
		start := time.Now()
		run()
		if d := time.Since(start); *least == 0 || d < *least {
			*least = d
		}
	}
	var rendered, muxed time.Duration
	for range 20 {
		best(&rendered, func() { remux(t, &r, dst, lists) })
		best(&muxed, func() { mux(t, frames, pool) })
	}
	ratio := float64(rendered) / float64(muxed)
	t.Logf("rendered in %v, muxed in %v: %.2f", rendered, muxed, ratio)
	if ratio > most {
		t.Errorf("rendering takes %.2f of what muxing takes, want at most %.2f", ratio, most)
	}
}
