package codec

import "testing"

func TestBits(t *testing.T) {
	r := bitReader{data: []byte{0xA5, 0x0F, 0xFF, 0x00}}
	for i, c := range []struct {
		n    int
		want uint32
	}{{0, 0}, {1, 1}, {3, 2}, {8, 0x50}, {12, 0xFFF}} {
		if got := r.bits(c.n); got != c.want || r.short {
			t.Errorf("read %d: %d bits are %#x, want %#x", i, c.n, got, c.want)
		}
	}
	r.skip(8)
	if r.short {
		t.Error("short before the end")
	}
	if got := r.bits(4); got != 0 || !r.short {
		t.Errorf("behind the end: %d, short %v", got, r.short)
	}
	r = bitReader{data: []byte{0xFF}}
	if r.skip(9); !r.short {
		t.Error("skipped past the end without a word")
	}
}

// TestExpGolomb has the examples of ISO/IEC 14496-10 tables 9-2 and 9-3.
func TestExpGolomb(t *testing.T) {
	for bits, want := range map[string]struct {
		ue uint32
		se int64
	}{
		"80": {0, 0}, "40": {1, 1}, "60": {2, -1}, "20": {3, 2}, "28": {4, -2}, "30": {5, 3}, "38": {6, -3}, "10": {7, 4}, "12": {8, -4},
		"00000001 fffffffe": {1<<32 - 2, -(1<<31 - 1)}, // the longest
	} {
		u, s := bitReader{data: unhex(t, bits)}, bitReader{data: unhex(t, bits)}
		if got := u.ue(); got != want.ue || u.short {
			t.Errorf("ue(%s) = %d, short %v; want %d", bits, got, u.short, want.ue)
		}
		if got := s.se(); got != want.se || s.short {
			t.Errorf("se(%s) = %d, short %v; want %d", bits, got, s.short, want.se)
		}
	}
	for _, bits := range []string{"", "00", "0000000080000000", "01"} {
		r := bitReader{data: unhex(t, bits)}
		if got := r.ue(); bits != "01" && got != 0 || !r.short {
			t.Errorf("ue(%q) = %d, short %v", bits, got, r.short)
		}
	}
}
