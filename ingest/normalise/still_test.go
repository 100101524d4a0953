package normalise

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestStill(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, tc := range []struct {
		name  string
		every time.Duration // frames come
		at    func(n int64) int64
		still bool
	}{
		{"at one value", 33 * time.Millisecond, func(int64) int64 { return 240 }, true},
		{"around one value", 33 * time.Millisecond, func(int64) int64 { return 212 + random.Int64N(29) }, true},
		{"far around one value", 33 * time.Millisecond, func(int64) int64 { return 1000 + random.Int64N(350) }, true},
		{"at 7 frames a second", 143 * time.Millisecond, func(int64) int64 { return 5 }, true},
		{"rising by a tick", 20 * time.Millisecond, func(n int64) int64 { return n / 10 }, true},
		{"60 frames a second", 16 * time.Millisecond, func(n int64) int64 { return n * 16 }, false},
		{"sent at a twentieth of the speed", 333 * time.Millisecond, func(n int64) int64 { return n * 16 }, false},
		{"a slide show", 2 * time.Second, func(int64) int64 { return 0 }, false},
		{"240 frames a second", 4 * time.Millisecond, func(n int64) int64 { return n * 4 }, false},
		{"going back", 33 * time.Millisecond, func(n int64) int64 { return -33 * n }, false},
	} {
		var s still
		now, next := time.Duration(0), time.Duration(0)
		var found time.Duration
		for n := int64(0); time.Duration(n)*tc.every < 30*time.Second; n++ {
			if now >= next {
				next = now + time.Second
				if s.look(tc.at(n)*millisecond, n+1, now) > 0 {
					found = now
					break
				}
			}
			now += tc.every
		}
		if (found > 0) != tc.still || tc.still && (found < stillTime || found > stillTime+2*time.Second) {
			t.Errorf("%s: found after %v", tc.name, found)
		}
	}
	// A pause after a burst is no error, whether somebody looks meanwhile or not.
	for _, every := range []time.Duration{10 * time.Second, time.Second} {
		var s still
		now := time.Duration(0)
		s.look(0, 1, now)
		for n := int64(1); n < 20; n++ {
			for range 10 * time.Second / every {
				now += every
				if s.look(100+n, 50+n, now) > 0 {
					t.Error("a paused encoder stands still")
				}
			}
		}
	}
}
