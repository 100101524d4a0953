package rtsp

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

const (
	// maxForward is how much further than the time that went by an RTP time stamp may move on before it counts as a
	// jump; maxBackward is how far it may go back, which B-frames do by a few frames.
	maxForward  = 10 * ingest.Clock
	maxBackward = 2 * ingest.Clock
)

// rtpClock turns 32-bit RTP time stamps of one track into 90 kHz ticks on a time line of the track's own, which begins
// at 0, does not wrap, and does not follow an encoder that starts its time stamps anew.
type rtpClock struct {
	rate int64 // RTP ticks per second

	started bool
	prev    uint32    // newest time stamp
	ticks   int64     // its unwrapped value, in RTP ticks
	seen    time.Time // when it came
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
	if moved := scale(delta, ingest.Clock, c.rate); moved < -maxBackward || moved-ticks90(passed) > maxForward {
		jumped = true
		delta = scale(int64(passed), c.rate, int64(time.Second))
	}
	c.prev, c.seen = ts, now
	c.ticks += delta
	return scale(c.ticks, ingest.Clock, c.rate), jumped
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
