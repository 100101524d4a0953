package mirror

import "testing"

func TestRowFlagsAreDistinct(t *testing.T) {
	seen := flags(0)
	for _, f := range []flags{isDropped, onDisk, confirmed, confirmed << 1, sending, sending << 1,
		refused, refused << 1, logged, logged << 1} {
		if f == 0 || seen&f != 0 {
			t.Errorf("%b overlaps %b", f, seen)
		}
		seen |= f
	}
	if confirmAll != confirmed|confirmed<<1 || logAll != logged|logged<<1 {
		t.Errorf("%b, %b", confirmAll, logAll)
	}
}
