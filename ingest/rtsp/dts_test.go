package rtsp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Parameter sets that do not state the reorder depth: 320x176, main profile, no VUI.
var (
	spsUnsaid     = unhex("674d001ee528282f20")
	spsInterlaced = unhex("674d001ee528286240")
	spsClaims8    = unhex("674d001ee5120a0bd00f14284898") // its bitstream_restriction names 8
	spsOrderType1 = unhex("674d001ed394141790")           // pic_order_cnt_type 1
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

// TestReorderDTSDeeperThanSaid checks that an encoder whose parameter sets deny its B-frames loses a few of them, once.
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

// pyramid returns presentation times in frames, in decoding order, of groups of 2^depth pictures whose middle one is always decoded first:
// each level deepens the reordering by one.
func pyramid(depth, groups int) (pts []int64) {
	pts = []int64{0}
	var halves func(lo, hi int64)
	halves = func(lo, hi int64) {
		if hi-lo < 2 {
			return
		}
		mid := (lo + hi) / 2
		pts = append(pts, mid)
		halves(lo, mid)
		halves(mid, hi)
	}
	for g := range int64(groups) {
		lo, hi := g<<depth, (g+1)<<depth
		pts = append(pts, hi)
		halves(lo, hi)
	}
	return pts
}

// timedBy runs pictures through a decoding, 40 ms apart in arrival, and checks what is true of all output.
func timedBy(t *testing.T, name string, tracks []*ingest.Track, pts []int64, then func(i int, d *decoding, emit func(ingest.Frame))) (out []ingest.Frame, lifted int) {
	t.Helper()
	d := decoding{lifted: func() { lifted++ }}
	emit := func(f ingest.Frame) {
		if n := len(out); n > 0 && f.DTS <= out[n-1].DTS {
			t.Errorf("%s: DTS %d after %d", name, f.DTS, out[n-1].DTS)
		}
		if f.DTS > f.PTS {
			t.Errorf("%s: DTS %d after PTS %d", name, f.DTS, f.PTS)
		}
		if n := len(out); int(f.Units[0][0]) != n%256 {
			t.Errorf("%s: picture %d comes as number %d", name, f.Units[0][0], n)
		}
		out = append(out, f)
	}
	for i, p := range pts {
		d.add(ingest.Frame{
			Track: tracks[i%len(tracks)], PTS: p * 3600, DTS: p * 3600, Units: [][]byte{{byte(i)}},
			Arrival: time.Unix(0, 0).Add(time.Duration(i) * 40 * time.Millisecond),
		}, emit)
		if then != nil {
			then(i, &d, emit)
		}
	}
	d.flush(emit)
	if len(out) != len(pts) {
		t.Errorf("%s: %d pictures out, %d in", name, len(out), len(pts))
	}
	return out, lifted
}

// TestDecodingOrders checks that at all depths, stated or not, every picture comes out with its own PTS, and with the DTS that an encoder
// would give.
func TestDecodingOrders(t *testing.T) {
	of := func(sps []byte) *ingest.Track {
		return &ingest.Track{Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{ppsB}, FrameRate: 25}
	}
	for _, c := range []struct {
		name  string
		track *ingest.Track
		said  int // -1: not at all
	}{
		{"said 0", of(spsPlain), 0}, {"said 2", of(spsB), 2}, {"unsaid", of(spsUnsaid), -1},
		{"said 8, as the buffer is", of(spsClaims8), -1}, {"interlaced", of(spsInterlaced), -1}, {"order type 1", of(spsOrderType1), -1},
	} {
		for depth := range 6 {
			pts := pyramid(depth, 128>>depth)
			name := fmt.Sprintf("%s, depth %d", c.name, depth)
			out, lifted := timedBy(t, name, []*ingest.Track{c.track}, pts, nil)
			if c.said >= 0 && depth > c.said { // it denies its depth: some pictures at the beginning are shown late
				if lifted == 0 || lifted > 1<<depth {
					t.Errorf("%s: %d pictures lifted", name, lifted)
				}
				out, pts = out[2<<depth:], pts[2<<depth:]
			} else if lifted > 0 {
				t.Errorf("%s: %d pictures lifted", name, lifted)
			}
			shown := slices.Sorted(slices.Values(pts))
			late := 0
			for i, f := range out {
				if f.PTS != pts[i]*3600 {
					t.Errorf("%s: picture %d is shown at %d, want %d", name, i, f.PTS, pts[i]*3600)
				}
				if i >= c.said && c.said >= depth && f.DTS != (shown[i]-int64(c.said))*3600 || c.said < 0 && f.DTS != (shown[i]-int64(depth))*3600 {
					late++
				}
			}
			if late > 0 {
				t.Errorf("%s: %d pictures are not decoded when they should be", name, late)
			}
		}
	}
}

// TestDecodingFields tests two fields of a frame as two pictures, of the same or of successive times. Parameter sets state how many frames
// are reordered, not fields.
func TestDecodingFields(t *testing.T) {
	for _, sps := range [][]byte{spsB, spsUnsaid, spsInterlaced} {
		track := []*ingest.Track{{Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{ppsB}, FrameRate: 25}}
		for depth := range 3 {
			for _, apart := range []int64{0, 1} {
				var pts []int64
				for _, p := range pyramid(depth, 40) {
					pts = append(pts, 2*p, 2*p+apart)
				}
				name := fmt.Sprintf("%x, depth %d, fields %d apart", sps[:4], depth, apart)
				out, lifted := timedBy(t, name, track, pts, nil)
				late := 0
				for i, f := range out {
					// A second field with the same time is shown a tick later for each field that waits.
					if d := f.PTS - pts[i]*3600; d > int64(len(pts)) {
						late++
					}
				}
				if late > 4 || apart > 0 && lifted > 4 {
					t.Errorf("%s: %d lifted, %d of them by more than ticks", name, lifted, late)
				}
			}
		}
	}
}

// TestDecodingLearns checks how long pictures are held if nothing states their order, and that they are held only then.
func TestDecodingLearns(t *testing.T) {
	unsaid := []*ingest.Track{{Codec: ingest.H264, SPS: [][]byte{spsUnsaid}, PPS: [][]byte{ppsB}}}
	for _, c := range []struct {
		name  string
		track []*ingest.Track
		pts   []int64
		held  int
	}{
		{"said", []*ingest.Track{{Codec: ingest.H264, SPS: [][]byte{spsPlain}, PPS: [][]byte{ppsPlain}}}, pyramid(0, 40), 0},
		{"in order", unsaid, pyramid(0, 40), learnPictures - 1},
		{"one B-frame", unsaid, pyramid(1, 40), learnPictures + 2}, // the third picture shows it
		{"ever deeper", unsaid, func() (pts []int64) { // to the limit
			for i := range int64(64) {
				pts = append(pts, 64-i)
			}
			return pts
		}(), learnMost - 1},
	} {
		first := -1
		timedBy(t, c.name, c.track, c.pts, func(i int, d *decoding, _ func(ingest.Frame)) {
			if first < 0 && d.order != nil {
				first = i
			}
		})
		if first != c.held {
			t.Errorf("%s: %d pictures held, want %d", c.name, first, c.held)
		}
	}
	// The same for large ones.
	large := decoding{lifted: func() {}}
	large.add(ingest.Frame{Track: unsaid[0], Units: [][]byte{make([]byte, learnBytes)}}, func(ingest.Frame) {})
	if large.order == nil || large.bytes != 0 {
		t.Error("4 MiB are held")
	}
	// If there are few pictures a second, fewer are held.
	d, n := decoding{lifted: func() {}}, 0
	for i := range 3 {
		d.add(ingest.Frame{Track: unsaid[0], PTS: int64(i) * 90_000, Arrival: time.Unix(int64(i), 0)}, func(ingest.Frame) { n++ })
	}
	if n != 3 {
		t.Errorf("%d pictures after 2 s, want 3", n)
	}
}

// TestDecodingGoesOn checks that a jump, or a new order of pictures in the middle, costs no picture.
func TestDecodingGoesOn(t *testing.T) {
	of := func(sps ...[]byte) (tracks []*ingest.Track) {
		for _, s := range sps {
			tracks = append(tracks, &ingest.Track{Codec: ingest.H264, SPS: [][]byte{s}, PPS: [][]byte{ppsB}, FrameRate: 25})
		}
		return tracks
	}
	for _, sps := range [][]byte{spsPlain, spsB, spsUnsaid} {
		depth := map[bool]int{true: 0, false: 2}[&sps[0] == &spsPlain[0]]
		one := pyramid(depth, 20)
		for cut := range 20 {
			pts := slices.Clone(one[:cut])
			for _, p := range one {
				pts = append(pts, p+200)
			}
			_, lifted := timedBy(t, fmt.Sprintf("jump of %x at %d", sps, cut), of(sps), pts, func(i int, d *decoding, emit func(ingest.Frame)) {
				if i+1 == cut {
					d.jumped(emit)
				}
			})
			if lifted > 0 {
				t.Errorf("jump of %x at %d: %d lifted", sps, cut, lifted)
			}
		}
	}
	// The track changes with every picture: nothing is known about any, and nothing is lost.
	if _, lifted := timedBy(t, "tracks in turn", of(spsPlain, spsB, spsUnsaid), pyramid(0, 60), nil); lifted > 0 {
		t.Errorf("%d lifted", lifted)
	}
}

// TestDecodingBeginsAnywhere has connections that begin with any picture of a stream, as those of an encoder do that connects again: from the first
// keyframe on before which something has come, all of them have the times that the connection has which was there from the beginning, so that
// servers that are fed the same by several make the same.
func TestDecodingBeginsAnywhere(t *testing.T) {
	track := &ingest.Track{Codec: ingest.H264, SPS: [][]byte{spsB}, PPS: [][]byte{ppsB}, FrameRate: 25}
	denies := &ingest.Track{Codec: ingest.H264, SPS: [][]byte{spsPlain}, PPS: [][]byte{ppsB}, FrameRate: 25}
	closed := []ingest.Frame{}
	for gop := range int64(4) {
		for i, p := range pyramid(2, 4) {
			closed = append(closed, ingest.Frame{Track: track, PTS: (gop*17 + p) * 3600, Key: i == 0})
		}
	}
	open := []ingest.Frame{}
	for i, p := range pyramid(2, 16) {
		open = append(open, ingest.Frame{Track: track, PTS: p * 3600, Key: i%16 == 1 || i == 0}) // pictures follow that are shown before it
	}
	for name, all := range map[string][]ingest.Frame{"closed": closed, "open": open} {
		lifted := 0
		lying := decoding{lifted: func() { lifted++ }}
		for _, f := range all {
			f.Track = denies
			lying.add(f, func(ingest.Frame) {})
		}
		if lifted == 0 || lifted > 4 {
			t.Errorf("%s: %d pictures are lifted where the depth is denied, and it is found out once", name, lifted)
		}
		var want map[int64]int64 // DTS by PTS
		for first := range len(all) / 2 {
			got, begun, key := map[int64]int64{}, false, false
			d := decoding{lifted: func() {}}
			for _, f := range all[first:] {
				d.add(f, func(f ingest.Frame) {
					if key = key || f.Key && begun; key {
						got[f.PTS] = f.DTS
					}
					begun = true
				})
			}
			if first == 0 {
				want = got
				continue
			}
			if next := slices.IndexFunc(all[first:], func(f ingest.Frame) bool { return f.Key }); next > 0 && next < 4 {
				continue // fewer pictures than refer to one another tell too little
			}
			wrong := 0
			for pts, dts := range got {
				if dts != want[pts] {
					wrong++
				}
			}
			if wrong > 0 || len(got) < len(all)/4 {
				t.Errorf("%s, from picture %d on: %d of %d times are others", name, first, wrong, len(got))
			}
		}
	}
}

func FuzzDecoding(f *testing.F) {
	f.Add(uint8(2), []byte{0, 4, 2, 1, 3})
	tracks := []*ingest.Track{}
	for _, s := range [][]byte{spsPlain, spsB, spsUnsaid} {
		tracks = append(tracks, &ingest.Track{Codec: ingest.H264, SPS: [][]byte{s}, PPS: [][]byte{ppsB}})
	}
	f.Fuzz(func(t *testing.T, which uint8, moves []byte) {
		pts := []int64{0}
		for _, m := range moves {
			pts = append(pts, pts[len(pts)-1]+int64(int8(m)))
		}
		timedBy(t, "", []*ingest.Track{tracks[which%3], tracks[which>>4%3]}, pts, func(i int, d *decoding, emit func(ingest.Frame)) {
			if moves != nil && i < len(moves) && moves[i] == 77 {
				d.jumped(emit)
			}
			if len(d.waiting) > learnMost {
				t.Errorf("%d pictures wait", len(d.waiting))
			}
		})
	})
}
