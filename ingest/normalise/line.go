package normalise

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// apart is how far two tracks' timestamps, or a track's timestamps before and after a jump, may differ from what the arrival says, in 90
// kHz ticks, before they count as different clocks. Tracks that are merely sent early or late differ by seconds.
const apart = 10 * ingest.Clock

// line is the clock of one track.
type line struct {
	begun   bool
	at      int64 // the newest timestamp, as sent
	arrival time.Duration
	base    int64 // added to each timestamp
}

// place advances the line to a timestamp. It reports whether the track's base changed: the track began on, or jumped to, a different clock
// than the other track. It then continues where the other track is by arrival. If the other track later follows to the same clock, it gets
// the same base, so that audio and video stay together. Arrival counts from an instant that both share.
func (l *line) place(at int64, arrival time.Duration, other *line) (moved bool) {
	if !l.follows(at) {
		moved = l.jump(at, arrival, other)
	}
	l.begun, l.at, l.arrival = true, at, arrival
	return moved
}

// follows reports whether a timestamp is near the previous one.
func (l *line) follows(at int64) bool {
	return l.begun && uint64(at-l.at+apart) <= 2*apart
}

// jump decides about a timestamp that is the first, or far from the previous one.
func (l *line) jump(at int64, arrival time.Duration, other *line) (moved bool) {
	if !other.begun || l.near(at, arrival) {
		return false
	}
	base := other.base
	if !other.near(at, arrival) {
		base += other.at + ticks(arrival-other.arrival) - at
	}
	if l.begun {
		base = max(base, l.base+l.at+1-at) // keep it rising
	}
	moved = base != l.base
	l.base = base
	return moved
}

// near reports whether a timestamp can belong to this line: it is close to the newest one, or to where that would be by now.
func (l *line) near(at int64, arrival time.Duration) bool {
	if !l.begun {
		return false
	}
	step := at - l.at
	return within(step, apart) || within(step-ticks(arrival-l.arrival), apart)
}

func within(v, limit int64) bool { return -limit <= v && v <= limit }

func ticks(d time.Duration) int64 { return int64(d / (time.Second / 1000) * (ingest.Clock / 1000)) }
