package codec

import (
	"bytes"
	"slices"
	"testing"
)

func TestStartCode(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "00": 0, "0000": 0, "000000": 0, "0001": 0, "00000001": 4, "000001": 3, "0000000165": 4, "00000165": 3,
		"0000000001": 0, "00000265": 0, "01000001": 0,
	} {
		if got := StartCode(unhex(t, s)); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func TestAnnexB(t *testing.T) {
	for name, c := range map[string]struct {
		stream string
		want   []string
	}{
		"nothing":                     {"", nil},
		"no start code":               {"6742c00b", nil},
		"one unit":                    {"00000001 6742", []string{"6742"}},
		"both start codes":            {"00000001 09f0 000001 6742 00000001 68ce 000001 65b8", []string{"09f0", "6742", "68ce", "65b8"}},
		"zeros behind the last":       {"000001 65b8 0000", []string{"65b8"}},
		"zeros between":               {"000001 65b8 00000000 000001 41", []string{"65b8", "41"}},
		"empty units":                 {"000001 000001 00000001 41 000001", []string{"41"}},
		"emulation prevention":        {"000001 65 000003 01 000003 02 000001 41", []string{"6500000301 00000302", "41"}},
		"cabac zero words at the end": {"000001 65b8 000003 000003 000001 41", []string{"65b8000003000003", "41"}},
	} {
		stream := unhex(t, c.stream)
		var got [][]byte
		for u := range AnnexB(stream) {
			got = append(got, u)
			if !inside(stream, u) {
				t.Errorf("%s: % x is not of the stream", name, u)
			}
		}
		if !slices.EqualFunc(got, c.want, func(u []byte, s string) bool { return bytes.Equal(u, unhex(t, s)) }) {
			t.Errorf("%s: % x, want %v", name, got, c.want)
		}
	}
}

func TestAnnexBStopsWhenTold(t *testing.T) {
	for range AnnexB([]byte{0, 0, 1, 9, 0, 0, 1, 7}) {
		break
	}
}

func TestAnnexBAllocatesNothing(t *testing.T) {
	stream, bytes := unhex(t, "00000001 09f0 000001 6742 00000001 68ce 000001 65b8"), 0
	if n := testing.AllocsPerRun(100, func() {
		for u := range AnnexB(stream) {
			bytes += len(u)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzAnnexB checks that the units are parts of the stream, in order, and that joining them gives the same units again.
func FuzzAnnexB(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 9, 0xF0, 0, 0, 1, 0x65, 0x88, 0, 0, 3, 1, 0, 0})
	f.Add([]byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, stream []byte) {
		before := bytes.Clone(stream)
		var units [][]byte
		var again []byte
		total := 0
		for u := range AnnexB(stream) {
			if len(u) == 0 || u[len(u)-1] == 0 || bytes.Contains(u, []byte{0, 0, 1}) {
				t.Fatalf("unit % x", u)
			}
			if !inside(stream, u) {
				t.Fatalf("unit % x is not of the stream", u)
			}
			units = append(units, u)
			again = append(append(again, 0, 0, 1), u...)
			total += 3 + len(u)
		}
		if total > len(stream) || !bytes.Equal(before, stream) {
			t.Fatalf("%d bytes of %d", total, len(stream))
		}
		var twice [][]byte
		for u := range AnnexB(again) {
			twice = append(twice, u)
		}
		if !slices.EqualFunc(units, twice, bytes.Equal) {
			t.Fatalf("% x becomes % x", units, twice)
		}
	})
}

func TestNextStartCode(t *testing.T) {
	b := []byte{1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 1, 0, 0}
	for from := range b {
		want := bytes.Index(b[from:], []byte{0, 0, 1})
		if want >= 0 {
			want += from
		}
		if got := NextStartCode(b, from); got != want {
			t.Errorf("from %d: at %d, not %d", from, got, want)
		}
	}
}
