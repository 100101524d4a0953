package cut

import "time"

// Wallclock maps media time to wall time. It is anchored once per connection, to the least delayed of the first frames, and then runs on
// the media's own clock, so that PROGRAM-DATE-TIME and EXTINF agree. It is corrected in steps, in either direction, never gradually.
type Wallclock struct {
	wall     time.Time // of the anchor
	media    int64     // of the anchor, ticks
	maxDrift time.Duration

	settling time.Time     // until then a less delayed frame moves the anchor
	earliest time.Time     // the anchor does not move before this
	moved    time.Duration // how far anchors have been moved back in total: earlier readings are too late by this much
	late     int           // consecutive observations that were off by more than maxDrift; negative: ahead
}

const (
	driftObservations = 10               // in a row before a drift is believed: a stalled uplink catches up
	driftInterval     = 10 * time.Minute // between two corrections
	settleFor         = time.Second      // after the first frame of a connection, which may come in a burst
)

// NewWallclock returns a clock that is corrected if media time is off by more than maxDrift.
func NewWallclock(maxDrift time.Duration) Wallclock { return Wallclock{maxDrift: maxDrift} }

// Anchor ties media time to the arrival of a frame, but never to before the end of what was already published. It drops the monotonic part
// of the arrival: if the wall clock is set, viewers are told what it says.
func (c *Wallclock) Anchor(arrival, notBefore time.Time, media int64) {
	c.settling, c.earliest = arrival.Add(settleFor), notBefore
	c.wall, c.media, c.late = arrival.Round(0).UTC(), media, 0
	if c.wall.Before(notBefore) {
		c.wall = notBefore.UTC()
	}
}

// Observe moves a new anchor back if a frame came earlier than the anchor allows: the earlier frames were delayed. It returns by how much.
func (c *Wallclock) Observe(arrival time.Time, media int64) time.Duration {
	if c.settling.IsZero() {
		return 0
	}
	if arrival.After(c.settling) {
		c.Settle()
		return 0
	}
	back := min(c.At(media).Sub(arrival.Round(0)), c.wall.Sub(c.earliest))
	if back <= time.Millisecond {
		return 0
	}
	c.wall = c.wall.Add(-back)
	c.moved += back
	return back
}

// Settle ends the time in which the anchor may move.
func (c *Wallclock) Settle() { c.settling = time.Time{} }

// At returns the wall time of a media instant.
func (c *Wallclock) At(media int64) time.Time { return c.wall.Add(Duration(media - c.media)) }

// Drifted observes a frame's arrival, once per segment, and reports whether the anchor should be set again: the media is off the wall clock
// by more than maxDrift, and has stayed there. A new anchor cannot be before notBefore. If it would be off as well, as after the machine's
// clock was set back by an hour, nothing would be gained: wall time goes on as it is.
func (c *Wallclock) Drifted(arrival time.Time, media int64, notBefore time.Time) bool {
	switch off := arrival.Round(0).Sub(c.At(media)); {
	case off > c.maxDrift:
		c.late = max(c.late, 0) + 1
	case off < -c.maxDrift && notBefore.Round(0).Sub(arrival.Round(0)) <= c.maxDrift:
		c.late = min(c.late, 0) - 1
	default:
		c.late = 0
		return false
	}
	return max(c.late, -c.late) >= driftObservations && c.At(media).Sub(c.wall) >= driftInterval
}
