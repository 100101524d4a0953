package cut

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// parted sends segments of so many frames each, of a rate, through p, with time stamps as exact as precision, and returns how many frames
// each part has.
func parted(p *Parts, rate float64, precision int64, segments ...int) (all [][]int) {
	track := &ingest.Track{Codec: ingest.H264, FrameRate: rate}
	n := 0
	for number, frames := range segments {
		at := func() int64 {
			return int64(float64(n)*codec.Clock/rate+0.5) / precision * precision
		}
		p.See(&Event{Kind: EventOpen, Segment: Segment{Number: uint64(number + 1), Boundary: at()}, Tracks: Tracks{Video: track}})
		counts, from := []int(nil), n
		for range frames {
			u := &Unit{Frame: &ingest.Frame{Track: track}, Video: true, Boundary: at(), DTS: at()}
			if e, ok := p.See(&Event{Kind: EventUnit, Number: uint64(number + 1), Unit: u}); ok {
				counts, from = append(counts, n-from), n
				if e.Length > e.PartTarget {
					panic("a part is longer than PART-TARGET")
				}
			}
			n++
		}
		all = append(all, append(counts, n-from))
	}
	return all
}

// A segment has no last part of a few frames where its frames can be shared, but for the first, of which nothing is known.
func TestPartsShareFrames(t *testing.T) {
	for _, c := range []struct {
		name   string
		rate   float64
		frames int
		first  []int
		usual  []int
	}{
		{"4 s of 25", 25, 100, []int{12, 12, 12, 12, 12, 12, 12, 12, 4}, []int{12, 11, 11, 11, 11, 11, 11, 11, 11}},
		{"2 s of 25", 25, 50, []int{12, 12, 12, 12, 2}, []int{11, 11, 11, 11, 6}},
		{"1 s of 25", 25, 25, []int{12, 12, 1}, []int{11, 11, 3}},
		{"4 s of 30", 30, 120, []int{15, 15, 15, 15, 15, 15, 15, 15}, []int{15, 15, 15, 15, 15, 15, 15, 15}},
		{"2 s of 29.97", 30000.0 / 1001, 60, []int{14, 14, 14, 14, 4}, []int{13, 13, 13, 13, 8}},
		{"6.4 s of 24", 24, 154, []int{12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 10}, []int{12, 12, 12, 12, 12, 12, 11, 12, 12, 12, 12, 12, 11}},
		{"shorter than a part", 25, 9, []int{9}, []int{9}},
		{"2 a second", 2, 8, []int{1, 1, 1, 1, 1, 1, 1, 1}, []int{1, 1, 1, 1, 1, 1, 1, 1}},
	} {
		for _, precision := range []int64{1, 90} {
			p := NewParts(500*time.Millisecond, 0)
			got := parted(&p, c.rate, precision, c.frames, c.frames, c.frames)
			if !slices.Equal(got[0], c.first) || !slices.Equal(got[1], c.usual) || !slices.Equal(got[2], c.usual) {
				t.Errorf("%s, to %d ticks: %v", c.name, precision, got)
			}
		}
	}
}

// Segments of any length have parts that are no longer than PART-TARGET, and but for the last no shorter than 85 % of it.
func TestPartsKeepTheirLimits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		rate := []float64{10, 12.5, 15, 24000.0 / 1001, 24, 25, 30000.0 / 1001, 30, 50, 60000.0 / 1001, 60, 120}[r.IntN(12)]
		wanted := time.Duration(100+r.IntN(1900)) * time.Millisecond
		p := NewParts(wanted, 0)
		lengths := make([]int, 5)
		for i := range lengths {
			lengths[i] = 1 + r.IntN(int(8*rate))
		}
		for i, counts := range parted(&p, rate, []int64{1, 90}[r.IntN(2)], lengths...) {
			for k, n := range counts {
				ticks := float64(n) * codec.Clock / rate
				if ticks > float64(p.Target())+slack {
					t.Fatalf("%v of %v a second: %v of %v last longer than %d", wanted, rate, counts[k], counts, p.Target())
				}
				if k+1 < len(counts) && ticks+slack < 0.85*float64(p.Target()) {
					t.Fatalf("%v of %v a second, segment %d of %v: part %d of %v is shorter than 85 %% of %d", wanted, rate, i, lengths, k, counts, p.Target())
				}
			}
		}
	}
}
