package cut

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Keyless is how long a keyframe is waited for before a recording begins without, ticks; sound that has no picture at all
// beside it waits a second longer.
const Keyless = 12 * codec.Clock

// Duration returns a number of ticks of the 90 kHz clock as a duration.
func Duration(ticks int64) time.Duration { return time.Duration(ticks) * 100000 / 9 }

// RoundSeconds returns a duration in ticks as EXT-X-TARGETDURATION compares it (RFC 8216, 4.3.3.1): rounded to the nearest
// second, halves up.
func RoundSeconds(ticks int64) int { return int((ticks + codec.Clock/2) / codec.Clock) }
