package segmenter

import "time"

// wallclock gives media time its wall time: anchored once per connection, on the least delayed of its first frames, then
// carried by the media's own clock, so that PROGRAM-DATE-TIME and EXTINF agree. It is corrected as a step, in either
// direction, never as a slide.
type wallclock struct {
	wall     time.Time // of the anchor
	media    int64     // of the anchor, ticks
	maxDrift time.Duration

	settling time.Time     // until then a frame that is less delayed moves the anchor
	earliest time.Time     // before which it does not move
	moved    time.Duration // by which anchors have been moved back in all: what was read before is by so much too late
	late     int           // consecutive observations that were off by more than maxDrift; negative: ahead
}

const (
	driftObservations = 10               // in a row before a drift is believed: a stalled uplink catches up
	driftInterval     = 10 * time.Minute // between two corrections
	settleFor         = time.Second      // after the first frame of a connection, which may come with others in a burst
)

// anchor ties media time to the arrival of a frame, but never to before the end of what was published already. What the
// arrival says of the monotonic clock is dropped: somebody may set the wall clock, and viewers are told what that says.
func (c *wallclock) anchor(arrival, notBefore time.Time, media int64) {
	c.settling, c.earliest = arrival.Add(settleFor), notBefore
	c.wall, c.media, c.late = arrival.Round(0).UTC(), media, 0
	if c.wall.Before(notBefore) {
		c.wall = notBefore.UTC()
	}
}

// observe moves a fresh anchor back where a frame came earlier than it could have by it: the frames before were delayed.
func (c *wallclock) observe(arrival time.Time, media int64) {
	if c.settling.IsZero() {
		return
	}
	if arrival.After(c.settling) {
		c.settle()
		return
	}
	back := min(c.at(media).Sub(arrival.Round(0)), c.wall.Sub(c.earliest))
	if back > time.Millisecond {
		c.wall = c.wall.Add(-back)
		c.moved += back
	}
}

// settle ends the time in which the anchor may move.
func (c *wallclock) settle() { c.settling = time.Time{} }

// at is the wall time of an instant of media.
func (c *wallclock) at(media int64) time.Time { return c.wall.Add(duration(media - c.media)) }

// drifted observes a frame's arrival, once per segment, and reports whether the anchor should be set anew: the media is off
// the wall clock by more than maxDrift, and stayed there.
func (c *wallclock) drifted(arrival time.Time, media int64) bool {
	switch off := arrival.Round(0).Sub(c.at(media)); {
	case off > c.maxDrift:
		c.late = max(c.late, 0) + 1
	case off < -c.maxDrift:
		c.late = min(c.late, 0) - 1
	default:
		c.late = 0
		return false
	}
	return max(c.late, -c.late) >= driftObservations && c.at(media).Sub(c.wall) >= driftInterval
}
