package segmenter

import "time"

// wallclock gives media time its wall time: anchored once per connection, then carried by the media's own clock, so that
// PROGRAM-DATE-TIME and EXTINF agree. It is corrected as a step, never as a slide.
type wallclock struct {
	wall     time.Time // of the anchor
	media    int64     // of the anchor, ticks
	maxDrift time.Duration

	late int // consecutive observations that were late by more than maxDrift
}

const (
	driftObservations = 10        // in a row before a drift is believed: a stalled uplink catches up
	driftInterval     = time.Hour // between two corrections
)

// anchor ties media time to the arrival of a frame, but never to before the end of what was published already. What the
// arrival says of the monotonic clock is dropped: somebody may set the wall clock, and viewers are told what that says.
func (c *wallclock) anchor(arrival, notBefore time.Time, media int64) {
	c.wall, c.media, c.late = arrival.Round(0).UTC(), media, 0
	if c.wall.Before(notBefore) {
		c.wall = notBefore.UTC()
	}
}

// at is the wall time of an instant of media.
func (c *wallclock) at(media int64) time.Time { return c.wall.Add(duration(media - c.media)) }

// drifted observes a frame's arrival, once per segment, and tells whether the anchor should be set anew: the media has
// fallen behind the wall clock by more than maxDrift, and stayed there.
func (c *wallclock) drifted(arrival time.Time, media int64) bool {
	if arrival.Sub(c.at(media)) <= c.maxDrift {
		c.late = 0
		return false
	}
	c.late++
	return c.late >= driftObservations && arrival.Sub(c.wall) >= driftInterval
}
