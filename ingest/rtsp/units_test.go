package rtsp

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// part is what one packet carries: units of a picture, which begin it or not, and the marker.
type part struct {
	ts     uint32
	marker bool
	units  string // one letter for each: F first slice, S further slice, P parameter set, A delimiter, E SEI, 0 empty
}

// bytesOf returns units of a codec, identified by n.
func bytesOf(c ingest.Codec, letters string, n int) (units [][]byte) {
	for _, l := range letters {
		u := map[bool]map[rune][]byte{
			true:  {'F': {0x41, 0x88}, 'S': {0x41, 0x40}, 'P': {0x67, 0x42}, 'A': {0x09, 0xF0}, 'E': {0x06, 1, 1}, '0': {}},
			false: {'F': {0x02, 1, 0x80}, 'S': {0x02, 1, 0x40}, 'P': {0x42, 1}, 'A': {0x46, 1, 0x50}, 'E': {0x4E, 1, 1}, '0': {}},
		}[c == ingest.H264][l]
		if len(u) > 0 {
			u = append(bytes.Clone(u), byte(n))
		}
		units = append(units, u)
	}
	return units
}

func TestAssembler(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts []part
		want  string // time stamps and the number of units
		torn  int
	}{
		{"a picture per packet", []part{{1, true, "F"}, {2, true, "F"}, {3, true, "F"}}, "1:1 2:1 3:1", 0},
		{"no markers", []part{{1, false, "F0"}, {1, false, "S"}, {2, false, ""}, {2, false, "F"}, {3, false, "F"}}, "1:2 2:1 3:1", 0},
		{"slices, one marker", []part{{1, false, "F"}, {1, true, "S"}, {2, false, "F"}, {2, false, "S"}, {2, true, "S"}}, "1:2 2:3", 0},
		{"a lost marker", []part{{1, true, "F"}, {2, false, "F"}, {3, true, "F"}, {4, true, "F"}}, "1:1 2:1 3:1 4:1", 0},
		{"a marker on each slice", []part{{1, true, "F"}, {1, true, "S"}, {1, true, "S"}, {2, true, "F"}, {2, true, "S"}, {3, true, "F"}, {3, true, "S"}}, "1:3 2:2 3:2", 0},
		{"a marker on each slice from the second picture on",
			[]part{{1, true, "F"}, {2, true, "F"}, {2, true, "S"}, {2, true, "S"}, {3, true, "F"}, {3, true, "S"}, {4, true, "F"}}, "1:1 2:1 3:2 4:1", 2},
		{"a marker on sets", []part{{1, true, "P"}, {1, true, "F"}, {2, true, "P"}, {2, true, "F"}, {3, true, "F"}}, "1:2 2:1 2:1 3:1", 0},
		{"a marker on each unit", []part{{1, true, "A"}, {1, true, "P"}, {1, true, "E"}, {1, true, "F"}, {1, true, "S"}, {2, true, "A"}, {2, true, "F"}, {2, true, "S"}}, "1:5 2:3", 0},
		{"sets with a time of their own", []part{{1, true, "PP"}, {2, true, "F"}, {3, true, "P"}, {4, true, "F"}}, "1:2 2:1 3:1 4:1", 0},
		{"fields of one time", []part{{1, true, "F"}, {1, true, "F"}, {2, true, "F"}, {2, true, "F"}}, "1:1 1:1 2:1 2:1", 0},
		{"times that stand still", []part{{1, true, "F"}, {1, true, "F"}, {1, true, "F"}}, "1:1 1:1 1:1", 0},
		{"the beginning lost", []part{{1, true, "F"}, {2, false, "F"}, {2, true, "S"}, {3, true, "S"}, {4, true, "F"}}, "1:1 2:2 3:1 4:1", 0},
		{"the beginning lost, a marker on each slice", []part{{1, true, "F"}, {1, true, "S"}, {2, true, "S"}, {3, true, "F"}, {3, true, "S"}}, "1:2 2:1 3:2", 0},
		{"the beginning lost at the beginning", []part{{1, true, "S"}, {1, true, "S"}, {2, true, "F"}, {2, true, "S"}}, "1:2 2:2", 0},
		{"from 0", []part{{0, true, "F"}, {0, true, "S"}, {1, true, "F"}}, "0:2 1:1", 0},
	} {
		for _, kind := range []ingest.Codec{ingest.H264, ingest.H265} {
			a := assembler{codec: kind}
			got, torn := "", 0
			last := time.Time{}
			emit := func(u unit) {
				got += fmt.Sprintf("%d:%d ", u.rtp, len(u.data))
				if u.arrival.Before(last) {
					t.Errorf("%s, %v: came before the one before", c.name, kind)
				}
				last = u.arrival
			}
			for n, p := range c.parts {
				err := a.add(p.ts, p.marker, bytesOf(kind, p.units, n), time.Unix(int64(n+1), 0), emit)
				if errors.Is(err, errTorn) {
					torn++
				} else if err != nil {
					t.Errorf("%s, %v: %v", c.name, kind, err)
				}
			}
			a.flush(emit)
			a.flush(emit)
			if got != c.want+" " || torn != c.torn {
				t.Errorf("%s, %v: %sand %d torn, want %s and %d", c.name, kind, got, torn, c.want, c.torn)
			}
		}
	}
}

// TestAssemblerHoldsOnlyTheFirst checks that a complete picture waits for the next one only at the beginning.
func TestAssemblerHoldsOnlyTheFirst(t *testing.T) {
	a := assembler{codec: ingest.H264}
	n := 0
	for i, want := range []int{0, 2, 3, 4} {
		_ = a.add(uint32(i), true, bytesOf(ingest.H264, "F", i), time.Time{}, func(unit) { n++ })
		if n != want {
			t.Errorf("%d pictures after %d packets, want %d", n, i+1, want)
		}
	}
}

func TestAssemblerLimits(t *testing.T) {
	var a assembler
	got := 0
	emit := func(unit) { got++ }
	if err := a.add(3, false, [][]byte{bytes.Repeat([]byte{1}, maxUnitBytes+1)}, time.Time{}, emit); !errors.Is(err, errUnitTooBig) {
		t.Errorf("%v", err)
	}
	many := make([][]byte, maxUnitNALs+1)
	for i := range many {
		many[i] = []byte{0x41, 0x88}
	}
	if err := a.add(3, true, many, time.Time{}, emit); !errors.Is(err, errUnitTooMany) {
		t.Errorf("%v", err)
	}
	if err := a.add(3, true, many[1:], time.Time{}, emit); err != nil || got != 0 {
		t.Errorf("%v, %d units", err, got)
	}
	if a.flush(emit); got != 1 {
		t.Errorf("%d units", got)
	}
}

// FuzzAssembler checks that every unit goes in and comes out once, in order, or is reported, and that units of different times never mix.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte{0x81, 1, 0x02, 0x83, 0x44, 5, 0x86})
	f.Fuzz(func(t *testing.T, moves []byte) {
		for _, kind := range []ingest.Codec{ingest.H264, ingest.H265} {
			a := assembler{codec: kind}
			ts, in, out, torn := uint32(0), 0, 0, 0
			stamps := map[byte]uint32{} // of unit n
			emit := func(u unit) {
				if len(u.data) == 0 {
					t.Error("an empty unit")
				}
				for _, n := range u.data {
					if stamps[n[len(n)-1]] != u.rtp {
						t.Errorf("a unit of %d in one of %d", stamps[n[len(n)-1]], u.rtp)
					}
					out++
				}
			}
			for n, m := range moves {
				if n == 256 {
					break
				}
				if m&0x40 != 0 {
					ts += uint32(m)
				}
				stamps[byte(n)] = ts
				units := bytesOf(kind, string("FSPAE0FS"[m&7]), n)
				switch err := a.add(ts, m&0x80 != 0, units, time.Time{}, emit); {
				case errors.Is(err, errTorn):
					torn++
				case err != nil:
					t.Fatal(err)
				}
				if len(units[0]) > 0 {
					in++
				}
			}
			a.flush(emit)
			if in != out+torn {
				t.Errorf("%d in, %d out, %d torn", in, out, torn)
			}
		}
	})
}

// TestLossOverUDP checks that the rest of a picture that lost a packet stays a picture of its own, even if every slice has a marker, and
// that the library's queue, which waited for the packet, loses nothing else.
func TestLossOverUDP(t *testing.T) {
	for _, marked := range []bool{true, false} {
		r := newRecorder()
		const pictures = 60
		r.want = pictures - 1
		s := serve(t, r, nil)
		p := newPusher(gortsplib.TransportUDP)
		if err := p.record("rtsp://"+s.addr+"/live/cam", p.video); err != nil {
			t.Fatal(err)
		}
		lost := map[[2]int]bool{{5, 0}: true, {6, 1}: true, {7, 2}: true, {30, 0}: true, {30, 1}: true}
		for i := range pictures {
			for n := range 3 {
				if lost[[2]int{i, n}] {
					p.seq++
					continue
				}
				head := map[bool]byte{true: 0x65, false: 0x41}[i == 0]
				first := map[bool]byte{true: 0x88, false: 0x40}[n == 0]
				p.packet(t, uint32(i)*3600, marked || n == 2, []byte{head, first, byte(i)})
			}
		}
		r.wait(t)
		p.Close()
		_ = r.cause(t)
		frames := r.all()
		if len(frames) != pictures {
			t.Fatalf("%d frames, want %d", len(frames), pictures)
		}
		for i, f := range frames {
			want := 3
			for n := range 3 {
				if lost[[2]int{i, n}] {
					want--
				}
			}
			if len(f.Units) != want {
				t.Errorf("picture %d has %d slices, want %d", i, len(f.Units), want)
			}
			for _, u := range f.Units {
				if int(u[2]) != i {
					t.Errorf("a slice of picture %d in picture %d", u[2], i)
				}
			}
		}
		if n := s.Stats.LostPackets.Load(); n != 5 {
			t.Errorf("%d packets lost", n)
		}
	}
}
