package cut

import (
	"bytes"
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Tracks is what a segment contains; nil means no such track.
type Tracks struct{ Video, Audio *ingest.Track }

// SameConfiguration reports whether a decoder can go on from a to b without a reset. Only what selects the decoder counts: picture
// parameter sets are repeated before every keyframe anyway.
func SameConfiguration(a, b *ingest.Track) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	return a.Codec == b.Codec && bytes.Equal(a.ASC, b.ASC) && a.SampleRate == b.SampleRate && a.Channels == b.Channels &&
		slices.EqualFunc(a.SPS, b.SPS, bytes.Equal) && slices.EqualFunc(a.VPS, b.VPS, bytes.Equal)
}

// Same reports whether a decoder can go on from one set of tracks to the other.
func (t Tracks) Same(o Tracks) bool {
	return SameConfiguration(t.Video, o.Video) && SameConfiguration(t.Audio, o.Audio)
}

// FrameDuration returns the duration of one frame of an audio track in ticks.
func FrameDuration(t *ingest.Track) int64 {
	if t.Codec == ingest.AAC {
		return codec.AACSamples * codec.Clock / int64(max(t.SampleRate, 8000))
	}
	return codec.MP3FrameDuration(t.SampleRate)
}
