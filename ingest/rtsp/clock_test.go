package rtsp

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	start := time.Unix(1000, 0)
	c := rtpClock{rate: 48000}
	steps := []struct {
		ts     uint32
		after  time.Duration // since start
		want   int64
		jumped bool
	}{
		{0xffffff00, 0, 0, false},
		{0xffffff00 + 0x80, 0, 240, false},
		{0x80, 0, 720, false},                                      // wraps
		{0x80 - 0x40, 0, 600, false},                               // a B-frame
		{0x80 + 48000*9, time.Second, 720 + 9*90000, false},        // in a burst
		{5, 2 * time.Second, 720 + 10*90000, false},                // back by 9 s: advances by the elapsed second
		{5 + 48000*60, 62 * time.Second, 720 + 70*90000, false},    // rare but true
		{5 + 48000*120, 63 * time.Second, 720 + 71*90000, true},    // forward by 60 s within one
		{5 + 48000*121, 64 * time.Second, 720 + 72*90000, false},   // and on
		{48000 * 3600 * 2, 65 * time.Second, 720 + 73*90000, true}, // far away
	}
	steps[5].jumped = true
	for i, s := range steps {
		got, jumped := c.local(s.ts, start.Add(s.after))
		if got != s.want || jumped != s.jumped {
			t.Errorf("step %d: %d, %v, want %d, %v", i, got, jumped, s.want, s.jumped)
		}
	}
	if got := c.at(48000*3600*2 - 4800); got != 720+73*90000-9000 {
		t.Errorf("at: %d", got)
	}
}

func TestNTP90(t *testing.T) {
	if got := ntp90(3<<32 | 1<<31); got != 3*90000+45000 {
		t.Errorf("%d", got)
	}
	if a, b := ntp90(1<<64-1), ntp90(1<<63); a <= b || b <= 0 {
		t.Errorf("%d and %d overflow", a, b)
	}
}
