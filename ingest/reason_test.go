package ingest

import (
	"regexp"
	"testing"
)

// TestReasons checks that each reason has its own label and words, and which reasons pass by themselves.
func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for r := range NumReasons {
		if !regexp.MustCompile(`^[a-z_]+$`).MatchString(r.String()) || len(r.Words()) < 10 || seen[r.String()] || seen[r.Words()] {
			t.Errorf("reason %d is %q: %q", r, r, r.Words())
		}
		seen[r.String()], seen[r.Words()] = true, true
		want := r == BeforeKey || r == BeforeVideo || r == Late
		if r.passing() != want {
			t.Errorf("%v passes by itself: %t", r, !want)
		}
	}
}
