package cut

import "github.com/hlsorigin/hlsorigin/ingest/codec"

// cadence decides where a recording is cut. It knows the target duration, which it learns from the first keyframe interval and then keeps
// for the whole recording. It looks one keyframe ahead: a cut at the last keyframe that fits is better than a forced one between keyframes.
type cadence struct {
	segment int64 // the wanted duration, ticks
	limit   int64 // the longest target duration that may be learned, ticks
	target  int   // EXT-X-TARGETDURATION, seconds; 0 until it is fixed

	announced int64    // keyframe interval as announced by the encoder, ticks; 0 if unknown
	recent    [4]int64 // the last keyframe intervals, ticks
	n         int      // where the next of them goes
	lastKey   int64
	sawKey    bool
}

// firstMin is the shortest duration of a recording's first segment. Otherwise this may be as short as one GOP, so that the first viewer
// waits no longer than necessary.
const firstMin = codec.Clock

func newCadence(o SoloOptions) cadence {
	c := cadence{segment: codec.Ticks(o.Segment), limit: codec.Ticks(o.MaxTarget)}
	if o.Target > 0 {
		c.target = RoundSeconds(codec.Ticks(o.Target))
	}
	return c
}

// key records a keyframe at instant at.
func (c *cadence) key(at int64) {
	if c.sawKey && at > c.lastKey {
		c.recent[c.n] = at - c.lastKey
		c.n = (c.n + 1) % len(c.recent)
	}
	c.lastKey, c.sawKey = at, true
}

// reset forgets the timeline, but not what was learned on it.
func (c *cadence) reset() { c.sawKey = false }

// announce takes the longest keyframe interval as announced by the encoder, in ticks; 0 if it announces none.
func (c *cadence) announce(t int64) {
	if t > 0 && t <= c.limit {
		c.announced = max(c.announced, t)
	}
}

// interval returns the longest of the recent keyframe intervals.
func (c *cadence) interval() (longest int64) {
	for _, v := range c.recent {
		longest = max(longest, v)
	}
	return longest
}

// atKey reports whether to cut at a keyframe when the segment has lasted for elapsed ticks.
func (c *cadence) atKey(elapsed int64) bool {
	switch {
	case elapsed >= c.segment:
		return true
	case c.target == 0:
		return elapsed >= min(firstMin, c.segment)
	case elapsed >= c.segment/2:
		return RoundSeconds(elapsed+c.interval()) > c.target
	}
	return false
}

// overdue reports whether the segment must end now, keyframe or not, because with one more frame of the given duration it would round to
// more than the target duration.
func (c *cadence) overdue(elapsed, frame int64) bool {
	return elapsed > 0 && elapsed+frame > c.longest()
}

// longest returns the most ticks that a segment may last.
func (c *cadence) longest() int64 {
	if c.target == 0 {
		return Longest(max(RoundSeconds(c.limit), 1))
	}
	return Longest(c.target)
}

// Longest returns the most ticks that round to a target duration.
func Longest(target int) int64 { return int64(target)*codec.Clock + codec.Clock/2 - 1 }

// fix sets the target duration when the first segment, of the given duration, is about to be listed: the larger of the wanted duration and
// the keyframe interval, and never less than that segment.
func (c *cadence) fix(first int64) int {
	if c.target == 0 {
		c.target = max(1, RoundSeconds(c.segment), RoundSeconds(min(c.interval(), c.limit)), RoundSeconds(c.announced), RoundSeconds(first))
	}
	return c.target
}
