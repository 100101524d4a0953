package rtsp

import (
	"slices"
	"testing"
)

func TestReorderDTS(t *testing.T) {
	const f = 3600
	for _, c := range []struct {
		name    string
		depth   int
		pts     []int64 // in frames, in decoding order
		want    []int64 // DTS in frames; -99 is none
		dropped int
	}{
		{"none", 0, []int64{0, 1, 2, 3}, []int64{0, 1, 2, 3}, 0},
		{"one B-frame", 1, []int64{0, 2, 1, 4, 3, 6, 5}, []int64{-1, 0, 1, 2, 3, 4, 5}, 0},
		{"pyramid", 2, []int64{0, 4, 2, 1, 3, 8, 6, 5, 7}, []int64{-2, -1, 0, 1, 2, 3, 4, 5, 6}, 0},
		{"a lost frame", 2, []int64{0, 4, 1, 3, 8, 6, 5, 7}, []int64{-2, -1, 0, 1, 3, 4, 5, 6}, 0},
		{"a gap", 1, []int64{0, 2, 1, 102, 101}, []int64{-1, 0, 1, 2, 101}, 0},
	} {
		r := newReorderDTS(c.depth, 25)
		var got []int64
		for _, pts := range c.pts {
			dts, ok := r.next(pts * f)
			if !ok {
				dts = -99 * f
			}
			got = append(got, dts/f)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestReorderDTSDeeperThanSaid holds that an encoder whose parameter sets deny its B-frames loses a few of them, once.
func TestReorderDTSDeeperThanSaid(t *testing.T) {
	r := newReorderDTS(0, 25)
	last, lost := int64(-1<<62), 0
	for gop := range int64(10) {
		for _, p := range []int64{0, 4, 2, 1, 3} {
			if p == 0 && gop > 0 {
				continue
			}
			pts := (gop*4 + p) * 3600
			dts, ok := r.next(pts)
			if !ok {
				lost++
				continue
			}
			if dts <= last || dts > pts {
				t.Fatalf("DTS %d after %d, for PTS %d", dts, last, pts)
			}
			last = dts
		}
	}
	if lost == 0 || lost > 3 {
		t.Errorf("%d frames lost", lost)
	}
}

func FuzzReorderDTS(f *testing.F) {
	f.Add(uint8(2), []byte{0, 4, 2, 1, 3})
	f.Fuzz(func(t *testing.T, depth uint8, moves []byte) {
		r := newReorderDTS(int(depth), float64(depth))
		pts, last, begun := int64(0), int64(0), false
		for _, m := range moves {
			pts += int64(int8(m)) * 1000
			dts, ok := r.next(pts)
			if ok && (dts > pts || begun && dts <= last) {
				t.Fatalf("DTS %d after %d, for PTS %d", dts, last, pts)
			}
			if ok {
				last, begun = dts, true
			}
			if len(r.window) > maxReorder+1 {
				t.Fatalf("%d times kept", len(r.window))
			}
		}
	})
}
