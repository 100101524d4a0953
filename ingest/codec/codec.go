// Package codec reads what elementary streams say about themselves: where a picture begins, where a decoder may begin, which configuration
// it needs, how long a frame lasts. It looks only at the bitstream, because transports are often wrong: a message is not a picture, a flag
// is not a keyframe. There is one file per codec. It decodes no picture and no sound, keeps no state, and refuses to know any protocol or
// container.
package codec

import "time"

// Codec is the coding of one elementary stream.
type Codec uint8

// The codecs that our transport streams can carry.
const (
	H264 Codec = iota + 1 // ISO/IEC 14496-10
	H265                  // ISO/IEC 23008-2
	AAC                   // ISO/IEC 14496-3: LC, HE-AAC v1 and v2
	MP3                   // ISO/IEC 11172-3 and 13818-3, layer III
)

// String returns the codec's usual name, for logs and metrics.
func (c Codec) String() string {
	switch c {
	case H264:
		return "h264"
	case H265:
		return "h265"
	case AAC:
		return "aac"
	case MP3:
		return "mp3"
	}
	return "unknown"
}

// IsVideo reports whether the codec is a video codec.
func (c Codec) IsVideo() bool { return c == H264 || c == H265 }

// Clock is the frequency of PTS and DTS: 90 kHz ticks, as in MPEG-TS.
const Clock = 90000

// Ticks converts a duration to 90 kHz ticks, rounding towards zero.
func Ticks(d time.Duration) int64 { return int64(d) * 9 / 100000 }

// Duration converts 90 kHz ticks to a duration, rounding towards zero.
func Duration(ticks int64) time.Duration { return time.Duration(ticks) * 100000 / 9 }

// Unsupported is the error for a valid configuration that cannot be carried. Its text is meant for the person at the encoder.
type Unsupported struct {
	What string // what was found: "AAC with frames of 960 samples"
	Do   string // what to change: "set the encoder to frames of 1024"
}

func (u *Unsupported) Error() string { return u.What + " is not supported: " + u.Do }
