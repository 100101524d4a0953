package normalise

import (
	"math"
	"testing"
)

// TestSamples sends three hours of audio at 44100 Hz, and ten minutes at other rates, in whole milliseconds, on a clock that runs like the
// samples, a little faster or a little slower. No timestamp is more than a millisecond from the one that came; frames follow one another
// evenly.
func TestSamples(t *testing.T) {
	for _, rate := range []int64{44100, 48000, 22050, 32000, 8000} {
		for _, drift := range []float64{0, 100e-6, -100e-6} {
			for name, round := range map[string]func(float64) float64{"down": math.Floor, "next": math.Round, "up": math.Ceil} {
				var s samples
				exact := 1024 * 90000 / float64(rate)
				frames := int64(600 * float64(rate) / 1024)
				if rate == 44100 {
					frames *= 18
				}
				last, worst := int64(0), int64(0)
				for n := range frames {
					ms := round(float64(n) * exact / 90 * (1 + drift))
					pts := int64(ms) * millisecond
					at := s.place(pts, 1024, rate)
					worst = max(worst, at-pts, pts-at)
					if n > 0 {
						step := float64(at-last) - exact
						if math.Abs(step) > 3+exact/1000 {
							t.Fatalf("%d Hz, drift %v, rounded %s: frame %d comes %v ticks late", rate, drift, name, n, step)
						}
					}
					last = at
				}
				if worst > millisecond {
					t.Errorf("%d Hz, drift %v, rounded %s: %d ticks off", rate, drift, name, worst)
				}
			}
		}
	}
}

// TestSamplesBreak checks that a gap, a jump and a new rate are followed at once.
func TestSamplesBreak(t *testing.T) {
	var s samples
	for n := range int64(100) {
		s.place(n*64*millisecond/3, 1024, 48000)
	}
	for i, tc := range []struct{ ms, rate int64 }{{5000, 48000}, {5021, 48000}, {10, 48000}, {33, 44100}, {80, 22050}} {
		if at := s.place(tc.ms*millisecond, 1024, tc.rate); at-tc.ms*millisecond > millisecond || tc.ms*millisecond-at > millisecond {
			t.Errorf("%d: %d ms is %d ticks", i, tc.ms, at)
		}
	}
}
