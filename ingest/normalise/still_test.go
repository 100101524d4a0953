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
		now := time.Unix(1_000_000, 0)
		var found time.Duration
		for n := int64(0); time.Duration(n)*tc.every < 30*time.Second; n++ {
			if s.add(tc.at(n)*millisecond, now) {
				found = time.Duration(n) * tc.every
				break
			}
			now = now.Add(tc.every)
		}
		if (found > 0) != tc.still || tc.still && (found < stillTime || found > stillTime+time.Second) {
			t.Errorf("%s: found after %v", tc.name, found)
		}
	}
	// A pause behind a burst is none.
	var s still
	now := time.Unix(1_000_000, 0)
	for n := range int64(50) {
		s.add(n*8*millisecond, now)
	}
	for n := int64(50); n < 60; n++ {
		now = now.Add(10 * time.Second)
		if s.add(n*8*millisecond, now) {
			t.Error("a paused encoder stands still")
		}
	}
}
