package normalise

import (
	"testing"
	"time"
)

// TestLine follows two tracks. Timestamps, and the time that passes before each, are in seconds.
func TestLine(t *testing.T) {
	type step struct {
		video bool
		pass  float64 // seconds
		at    float64 // timestamp, seconds
		base  float64 // added to it
	}
	for name, steps := range map[string][]step{
		"one clock":               {{false, 0, 0, 0}, {true, 0, 0, 0}, {false, 1, 1, 0}, {true, 0, 1, 0}},
		"video sent 5 s late":     {{false, 0, 5, 0}, {true, 0.1, 0, 0}, {false, 1, 6, 0}, {true, 0, 1, 0}},
		"video sent 5 s early":    {{false, 0, 0, 0}, {true, 0.1, 5, 0}, {false, 1, 1, 0}, {true, 0, 6, 0}},
		"video begins at an hour": {{false, 0, 0, 0}, {true, 0.5, 3600, -3599.5}, {false, 1, 1.5, 0}, {true, 0, 3601, -3599.5}},
		"audio begins at an hour": {{true, 0, 0, 0}, {false, 0.5, 3600, -3599.5}, {true, 1, 1.5, 0}, {false, 0, 3601, -3599.5}},
		"audio begins late":       {{true, 0, 0, 0}, {true, 60, 60, 0}, {false, 0, 60, 0}},
		"audio jumps alone":       {{true, 0, 0, 0}, {false, 0, 0, 0}, {true, 1, 1, 0}, {false, 0, 501, -500}, {true, 1, 2, 0}, {false, 0, 502, -500}},
		"and back":                {{true, 0, 0, 0}, {false, 0, 0, 0}, {true, 1, 1, 0}, {false, 0, 501, -500}, {true, 1, 2, 0}, {false, 0, 2, 0}},
		// If both jump, the second follows the first exactly: audio and video stay together.
		"both jump":                  {{true, 0, 0, 0}, {false, 0, 0, 0}, {true, 1, 500.2, -499.2}, {false, 0.1, 500, -499.2}, {true, 1, 501.3, -499.2}},
		"both jump back":             {{true, 0, 1000, 0}, {false, 0, 1000, 0}, {false, 1, 0, 1001}, {true, 0.1, 0, 1001}},
		"a pause of the encoder":     {{true, 0, 0, 0}, {false, 0, 0, 0}, {true, 60, 0.04, 0}, {false, 0, 0.02, 0}},
		"a pause that the clock saw": {{true, 0, 0, 0}, {false, 0, 0, 0}, {true, 60, 60, 0}, {false, 0, 60, 0}},
		"a burst":                    {{true, 0, 0, 0}, {false, 0, 0, 0}, {true, 0, 8, 0}, {false, 0, 8, 0}, {true, 0, 16, 0}, {false, 0, 16, 0}},
		"a pause behind a jump":      {{true, 0, 0, 0}, {false, 0, 0, 0}, {false, 1, 501, -500}, {false, 60.3, 561, -500}},
		"a jump while ahead":         {{false, 0, 0, 0}, {true, 0, 5, 0}, {true, 0.04, 1000, -995}, {true, 0.04, 1000.04, -995}},
		"audio away for a minute":    {{true, 0, 0, 0}, {false, 0, 0, 0}, {true, 30, 30, 0}, {true, 30, 60, 0}, {false, 0, 60, 0}},
		"one track alone jumps":      {{true, 0, 0, 0}, {true, 1, 1000, 0}, {true, 1, 0, 0}},
	} {
		var video, audio line
		now := time.Duration(0)
		last := map[bool]float64{}
		for i, s := range steps {
			now += time.Duration(s.pass * float64(time.Second))
			l, other := &audio, &video
			if s.video {
				l, other = other, l
			}
			begun, before := l.begun, l.base
			moved := l.place(int64(s.at*90000), now, other)
			if off := float64(l.base)/90000 - s.base; off > 0.01 || off < -0.01 {
				t.Errorf("%s: step %d: base %.3f s, want %.3f", name, i, float64(l.base)/90000, s.base)
			}
			if moved != (l.base != before) {
				t.Errorf("%s: step %d: moved %t", name, i, moved)
			}
			if at := s.at + float64(l.base)/90000; begun && moved && at <= last[s.video] {
				t.Errorf("%s: step %d goes back to %.3f", name, i, at)
			}
			last[s.video] = s.at + float64(l.base)/90000
		}
	}
}
