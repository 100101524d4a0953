package intake

import (
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// weave sends frames of 40 ms of both tracks, one of them late, through an interleaver as a session does; what changes a frame, or removes
// it by returning nil.
func weave(t *testing.T, length time.Duration, late int, by time.Duration, what func(k int, f *ingest.Frame) bool) (out []ingest.Frame, left *Interleaver) {
	t.Helper()
	tracks := [2]*ingest.Track{videoTrack(), audioTrack()}
	var in []ingest.Frame
	for at := time.Duration(0); at < length; at += 40 * time.Millisecond {
		for k := range tracks {
			f := ingest.Frame{Track: tracks[k], DTS: codec.Ticks(at), PTS: codec.Ticks(at), Units: [][]byte{{0x65, byte(k)}}, Arrival: start.Add(at)}
			if k == late {
				f.Arrival = f.Arrival.Add(by)
			}
			if what == nil || what(k, &f) {
				in = append(in, f)
			}
		}
	}
	slices.SortStableFunc(in, func(a, b ingest.Frame) int { return a.Arrival.Compare(b.Arrival) })
	n := slices.IndexFunc(in, func(f ingest.Frame) bool { return kind(&f) == late }) + 3
	w := NewInterleaver(in[:n])
	if w == nil {
		t.Fatal("no interleaver")
	}
	for i := range in {
		w.Add(&in[i])
		if i < n-1 {
			continue
		}
		for f := w.Next(in[i].Arrival); f != nil; f = w.Next(in[i].Arrival) {
			out = append(out, *f)
		}
		if w.Done() {
			return out, w
		}
	}
	left = w
	for f := w.Rest(); f != nil; f = w.Rest() {
		out = append(out, *f)
	}
	if len(out) != len(in) {
		t.Errorf("%d frames of %d came out", len(out), len(in))
	}
	return out, left
}

func TestInterleaver(t *testing.T) {
	for late := range 2 {
		for _, by := range []time.Duration{1500 * time.Millisecond, 5 * time.Second} {
			out, w := weave(t, 20*time.Second, late, by, nil)
			for i, f := range out {
				if at := start.Add(cut.Duration(f.DTS)); !f.Arrival.Equal(at) || kind(&f) != i%2 {
					t.Fatalf("track %d late by %v: frame %d is of track %d, made at %v and came at %v", late, by, i, kind(&f), at.Sub(start), f.Arrival.Sub(start))
				}
			}
			if w.Done() {
				t.Error("it is thought to be over")
			}
		}
	}
}

// A track that is away is not awaited, and a jump does not mix what was before with what is after.
func TestInterleaverGoesOn(t *testing.T) {
	const gone = 8 * time.Second
	out, _ := weave(t, 20*time.Second, 1, 3*time.Second, func(k int, f *ingest.Frame) bool { return k == 0 || f.DTS < codec.Ticks(gone) })
	if n := len(out); n != 500+200 {
		t.Errorf("%d frames", n)
	}
	out, _ = weave(t, 20*time.Second, 1, 3*time.Second, func(k int, f *ingest.Frame) bool {
		if f.DTS >= codec.Ticks(gone) {
			f.DTS -= codec.Ticks(gone)
		}
		return true
	})
	for i, f := range out {
		if want := int64(i/2) * codec.Ticks(40*time.Millisecond) % codec.Ticks(gone); f.DTS != want && i < 800 || kind(&f) != i%2 {
			t.Fatalf("frame %d of track %d is of %v, want %v", i, kind(&f), cut.Duration(f.DTS), cut.Duration(want))
		}
	}
}

// Tracks that come together need no interleaver any more, and others need none at all.
func TestInterleaverEnds(t *testing.T) {
	_, w := weave(t, 60*time.Second, 1, 3*time.Second, func(k int, f *ingest.Frame) bool {
		if k == 1 && f.DTS > codec.Ticks(5*time.Second) {
			f.Arrival = start.Add(max(8*time.Second, cut.Duration(f.DTS))) // what was late comes all at once
		}
		return true
	})
	if !w.Done() {
		t.Error("it goes on for ever")
	}
	for _, by := range []time.Duration{0, 500 * time.Millisecond, time.Minute} {
		frames := []ingest.Frame{
			{Track: videoTrack(), DTS: 100 * codec.Clock, Arrival: start}, {Track: audioTrack(), DTS: 100*codec.Clock - codec.Ticks(by), Arrival: start},
		}
		if NewInterleaver(frames) != nil || NewInterleaver(frames[:1]) != nil {
			t.Errorf("tracks %v apart", by)
		}
	}
}
