package rtsp

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

const (
	// maxForward is how much further than the time that went by an RTP time stamp may move on before it counts as a jump.
	maxForward = 10 * ingest.Clock
	// A time stamp may go back as far as pictures are reordered, maxReorder of them and the one they go back to. How long
	// a picture lasts is seen; minBackward and maxBackward are for encoders that make it too short or too long. Sound is not
	// reordered, but should go along with the picture where an encoder sets both back by a little.
	minBackward = ingest.Clock / 2
	maxBackward = 2 * ingest.Clock
)

// rtpClock turns 32-bit RTP time stamps of one track into 90 kHz ticks on a time line of the track's own, which begins
// at 0, does not wrap, and does not follow an encoder that starts its time stamps anew.
type rtpClock struct {
	rate  int64 // RTP ticks per second
	video bool

	started bool
	prev    uint32    // newest time stamp
	ticks   int64     // its unwrapped value, in RTP ticks
	seen    time.Time // when it came
	step    int64     // the least distance between two, 90 kHz ticks; 0 unknown
}

// local places a time stamp that came at now. jumped says that it did not follow from those before: the time line then
// goes on by the time that passed.
func (c *rtpClock) local(ts uint32, now time.Time) (pts int64, jumped bool) {
	if !c.started {
		c.started, c.prev, c.seen = true, ts, now
		return 0, false
	}
	delta := int64(int32(ts - c.prev))
	passed := max(now.Sub(c.seen), 0)
	moved := scale(delta, ingest.Clock, c.rate)
	if moved < -c.backward() || moved-ticks90(passed) > maxForward {
		jumped = true
		delta = scale(int64(passed), c.rate, int64(time.Second))
	} else if moved > 0 && (c.step == 0 || moved < c.step) {
		c.step = moved
	}
	c.prev, c.seen = ts, now
	c.ticks += delta
	return scale(c.ticks, ingest.Clock, c.rate), jumped
}

// backward is how far a time stamp may go back, 90 kHz ticks.
func (c *rtpClock) backward() int64 {
	switch {
	case !c.video:
		return minBackward
	case c.step == 0:
		return maxBackward
	}
	return min(max((maxReorder+1)*c.step, minBackward), maxBackward)
}

// at places a time stamp near the newest one without taking note of it.
func (c *rtpClock) at(ts uint32) int64 {
	return scale(c.ticks+int64(int32(ts-c.prev)), ingest.Clock, c.rate)
}

// scale is v*m/d without overflow where the result has none.
func scale(v, m, d int64) int64 { return v/d*m + v%d*m/d }

func ticks90(d time.Duration) int64 { return scale(int64(d), ingest.Clock, int64(time.Second)) }

// ntp90 is an NTP time stamp of a sender report (RFC 3550 6.4.1), 32.32 fixed point seconds, in 90 kHz ticks.
func ntp90(ntp uint64) int64 {
	return int64(ntp>>32)*ingest.Clock + int64((ntp&0xffffffff)*ingest.Clock>>32)
}
