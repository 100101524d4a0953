package rtsp

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

const (
	// maxForward is how much further than the elapsed time an RTP timestamp may advance before it counts as a jump.
	maxForward = 10 * ingest.Clock
	// A timestamp may go back as far as pictures are reordered: by maxReorder of them and one more. The length of a picture is measured;
	// minBackward and maxBackward limit it, for encoders whose pictures are too short or too long. Audio is not reordered, but should
	// follow the video if an encoder sets both back by a little.
	minBackward = ingest.Clock / 2
	maxBackward = 2 * ingest.Clock
)

// rtpClock turns the 32-bit RTP timestamps of one track into 90 kHz ticks on the track's own timeline. This begins at 0, does not wrap, and
// continues when an encoder restarts its timestamps.
type rtpClock struct {
	rate  int64 // RTP ticks per second
	video bool

	started bool
	prev    uint32    // newest timestamp
	ticks   int64     // the same unwrapped, in RTP ticks
	seen    time.Time // when it came
	step    int64     // the least distance between two, 90 kHz ticks; 0 if unknown
}

// local maps a timestamp that came at now. jumped reports that it did not follow from the previous ones: the timeline then advances by the
// elapsed time.
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

// backward returns how far a timestamp may go back, in 90 kHz ticks.
func (c *rtpClock) backward() int64 {
	switch {
	case !c.video:
		return minBackward
	case c.step == 0:
		return maxBackward
	}
	return min(max((maxReorder+1)*c.step, minBackward), maxBackward)
}

// at maps a timestamp near the newest one without recording it.
func (c *rtpClock) at(ts uint32) int64 {
	return scale(c.ticks+int64(int32(ts-c.prev)), ingest.Clock, c.rate)
}

// scale returns v*m/d without intermediate overflow.
func scale(v, m, d int64) int64 { return v/d*m + v%d*m/d }

func ticks90(d time.Duration) int64 { return scale(int64(d), ingest.Clock, int64(time.Second)) }

// ntp90 converts an NTP timestamp of a sender report (RFC 3550 6.4.1), 32.32 fixed-point seconds, to 90 kHz ticks.
func ntp90(ntp uint64) int64 {
	return int64(ntp>>32)*ingest.Clock + int64((ntp&0xffffffff)*ingest.Clock>>32)
}
