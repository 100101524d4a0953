package normalise

import "testing"

func TestDecoding(t *testing.T) {
	type times struct{ pts, dts int64 }
	for name, tc := range map[string]struct {
		in, out  []times
		repaired int
	}{
		"in order":         {[]times{{0, 0}, {100, 100}}, []times{{0, 0}, {100, 100}}, 0},
		"reordered":        {[]times{{300, 0}, {200, 100}}, []times{{300, 0}, {200, 100}}, 0},
		"stands still":     {[]times{{50, 50}, {50, 50}, {50, 50}}, []times{{50, 50}, {51, 51}, {52, 52}}, 2},
		"falls a little":   {[]times{{500, 500}, {400, 400}, {600, 600}}, []times{{500, 500}, {501, 501}, {600, 600}}, 1},
		"a new line":       {[]times{{900_000, 900_000}, {0, 0}, {100, 100}}, []times{{900_000, 900_000}, {0, 0}, {100, 100}}, 0},
		"before its DTS":   {[]times{{1000, 1000}, {1900, 2000}, {3000, 3000}}, []times{{1000, 1000}, {1900, 1900}, {3000, 2900}}, 0},
		"lowered too late": {[]times{{1000, 1000}, {2000, 2000}, {1900, 3000}, {4000, 4000}}, []times{{1000, 1000}, {2000, 2000}, {2001, 2001}, {4000, 2900}}, 1},
		"nonsense":         {[]times{{1000, 1000}, {2000, 2_000_000}, {3_000_000, 3_000_000}}, []times{{1000, 1000}, {2_000_000, 2_000_000}, {3_000_000, 3_000_000}}, 1},
	} {
		var d decoding
		repaired := 0
		for i, in := range tc.in {
			pts, dts, r := d.place(in.pts, in.dts)
			if r {
				repaired++
			}
			if got := (times{pts, dts}); got != tc.out[i] {
				t.Errorf("%s: frame %d is %v, want %v", name, i, got, tc.out[i])
			}
		}
		if repaired != tc.repaired {
			t.Errorf("%s: %d repaired, want %d", name, repaired, tc.repaired)
		}
	}
}
