package normalise

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// apart is how far the time stamps of two tracks, or of one from its own past, may be from what the arrival says, 90 kHz
// ticks, before they count as those of another clock. Tracks that are merely sent early or late are apart by seconds.
const apart = 10 * ingest.Clock

// line is the clock of one track.
type line struct {
	begun   bool
	at      int64 // the newest time stamp, as it was sent
	arrival time.Duration
	base    int64 // to be added
}

// place brings the line up to a time stamp. It reports whether the track's base changed: it began on, or jumped to, another
// clock than the other track has. Then it goes on where the other one is by arrival; and where the other follows to that
// clock later, with the same base, so that sound and picture stay together. Arrival counts from an instant that both share.
func (l *line) place(at int64, arrival time.Duration, other *line) (moved bool) {
	if !l.follows(at) {
		moved = l.jump(at, arrival, other)
	}
	l.begun, l.at, l.arrival = true, at, arrival
	return moved
}

// follows reports whether a time stamp is near the one before.
func (l *line) follows(at int64) bool {
	return l.begun && uint64(at-l.at+apart) <= 2*apart
}

// jump decides on a time stamp that is the first, or far from the one before.
func (l *line) jump(at int64, arrival time.Duration, other *line) (moved bool) {
	if !other.begun || l.near(at, arrival) {
		return false
	}
	base := other.base
	if !other.near(at, arrival) {
		base += other.at + ticks(arrival-other.arrival) - at
	}
	if l.begun {
		base = max(base, l.base+l.at+1-at) // it goes on rising
	}
	moved = base != l.base
	l.base = base
	return moved
}

// near reports whether a time stamp can be of this line: it is close to the newest one, or to where that would be by now.
func (l *line) near(at int64, arrival time.Duration) bool {
	if !l.begun {
		return false
	}
	step := at - l.at
	return within(step, apart) || within(step-ticks(arrival-l.arrival), apart)
}

func within(v, limit int64) bool { return -limit <= v && v <= limit }

func ticks(d time.Duration) int64 { return int64(d / (time.Second / 1000) * (ingest.Clock / 1000)) }
