package cut

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Keyless is how long a recording waits for a keyframe before it begins without one, in ticks. Audio without any picture waits a second
// longer.
const Keyless = 12 * codec.Clock

// Duration converts 90 kHz ticks to a duration.
func Duration(ticks int64) time.Duration { return time.Duration(ticks) * 100000 / 9 }

// RoundSeconds rounds a duration in ticks as EXT-X-TARGETDURATION compares it (RFC 8216, 4.3.3.1): to the nearest second, halves up.
func RoundSeconds(ticks int64) int { return int((ticks + codec.Clock/2) / codec.Clock) }
