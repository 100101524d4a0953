package fmp4

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// parted is a segment of two seconds in parts of so many pictures each, and where they end.
func parted(tb testing.TB, c mpegts.Config, each int) (segment []byte, ends []int, next []int64) {
	tb.Helper()
	m, err := mpegts.NewMuxer(c)
	if err != nil {
		tb.Fatal(err)
	}
	b := new(mpegts.Pool).Buffer()
	n := 0
	for _, f := range clip(2, 0) {
		if f.audio != nil {
			m.Audio(b, f.pts, f.audio)
			continue
		}
		if n%each == 0 {
			if n == 0 {
				m.Begin(b)
			} else {
				m.EndPart(b)
				ends, next = append(ends, b.Len()), append(next, f.dts+mpegts.Offset)
				m.BeginPart(b)
			}
		}
		n++
		m.Video(b, mpegts.VideoUnit{PTS: f.pts, DTS: f.dts, Units: f.units, IDR: f.idr, ParameterSets: [][]byte{sps264, pps264}})
	}
	m.FlushAudio(b)
	return bytes.Join(pieces(b), nil), append(ends, b.Len()), append(next, -1)
}

// A part gives the bytes that it gives in the whole, alone or together with those around it.
func TestParts(t *testing.T) {
	segment, ends, next := parted(t, both(), 15)
	at := Segment{Number: 7, Start: wall(), Duration: 180000}
	var r Remuxer
	v, a, err := render(&r, [][]byte{segment}, at)
	if err != nil || len(v.Ends) != 4 || len(a.Ends) != 4 {
		t.Fatal(err, v.Ends, a.Ends)
	}
	states := []State{{}}
	for i := range ends {
		from := 0
		if i > 0 {
			from = ends[i-1]
		}
		_, part, after, err := r.Parts(nil, [][]byte{segment[from:ends[i]]}, at, Excerpt{First: i, After: states[i], Next: next[i]})
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, after)
		if part.Video.Ends != nil || !bytes.Equal(part.Video.Data, v.Part(i).Data) || !bytes.Equal(part.Audio.Data, a.Part(i).Data) {
			t.Errorf("part %d is not what it is in the whole", i)
		}
	}
	for from := range ends {
		for to := from; to < len(ends); to++ {
			begin := 0
			if from > 0 {
				begin = ends[from-1]
			}
			_, run, _, err := new(Remuxer).Parts(nil, [][]byte{segment[begin:ends[to]]}, at, Excerpt{First: from, After: states[from], Next: next[to]})
			if err != nil {
				t.Fatal(err)
			}
			for i := from; i <= to; i++ {
				if !bytes.Equal(run.Video.Part(i-from).Data, v.Part(i).Data) || !bytes.Equal(run.Audio.Part(i-from).Data, a.Part(i).Data) {
					t.Errorf("part %d of those from %d to %d is not what it is in the whole", i, from, to)
				}
			}
		}
	}
	if again, _, err := render(&r, [][]byte{segment}, at); err != nil || !bytes.Equal(again.Data, v.Data) {
		t.Errorf("a Remuxer that rendered parts renders a whole otherwise: %v", err)
	}
}

// A part that is damaged is an error, and leaves the Remuxer as it was.
func TestPartsDamaged(t *testing.T) {
	segment, ends, next := parted(t, both(), 15)
	at := Segment{Number: 7, Start: wall(), Duration: 180000}
	var r Remuxer
	if _, _, _, err := r.Parts(nil, [][]byte{segment[:ends[0]-100]}, at, Excerpt{Next: next[0]}); !errors.Is(err, mpegts.ErrDamaged) {
		t.Error(err)
	}
	if _, _, _, err := r.Parts(nil, [][]byte{segment[mpegts.PacketSize*2 : ends[0]]}, at, Excerpt{Next: next[0]}); !errors.Is(err, mpegts.ErrDamaged) {
		t.Error(err)
	}
	v, _, err := render(&r, [][]byte{segment}, at)
	if err != nil || len(v.Ends) != 4 {
		t.Error(err, v.Ends)
	}
}

// A part costs its bytes and little more.
func TestPartsAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	segment, ends, next := parted(t, both(), 15)
	at := Segment{Number: 7, Start: wall(), Duration: 180000}
	var r Remuxer
	_, _, first, err := r.Parts(nil, [][]byte{segment[:ends[0]]}, at, Excerpt{Next: next[0]})
	if err != nil {
		t.Fatal(err)
	}
	part := [][]byte{segment[ends[0]:ends[1]]}
	if n := testing.AllocsPerRun(20, func() {
		_, _, _, _ = r.Parts(nil, part, at, Excerpt{First: 1, After: first, Next: next[1]})
	}); n > 3 {
		t.Errorf("%v allocations", n)
	}
}
