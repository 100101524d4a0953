package id3

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	var p Pace
	now := time.Unix(1000, 0)
	for i, step := range []struct {
		later time.Duration
		tries int
		taken int
	}{{0, 15, PerSecond}, {50 * time.Millisecond, 1, 0}, {50 * time.Millisecond, 2, 1}, {-time.Hour, 3, 0}, {time.Second, 20, PerSecond}, {time.Hour, 20, PerSecond}} {
		now = now.Add(step.later)
		taken := 0
		for range step.tries {
			if p.Take(now) {
				taken++
			}
		}
		if taken != step.taken {
			t.Errorf("step %d: %d taken, wanted %d", i, taken, step.taken)
		}
	}
}
