package cut

import (
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Unit is an access unit on its way through the stages: a frame, what its bitstream says, and its times. All times are 90 kHz ticks on the
// publisher's timeline.
type Unit struct {
	Frame  *ingest.Frame
	Survey codec.Survey // of a picture
	Video  bool

	PTS, DTS int64
	Duration int64 // how long it is usually shown or heard
	// At is the instant from which a segment that begins with the unit is shown: for a picture, the decoding time plus the composition
	// offset of the newest keyframe; for audio, its presentation time.
	At     int64
	Key    bool // a segment may begin with it
	Access bool // a decoder may, even if a better beginning is near

	// Resumes reports that its timeline has just broken off while the publisher went on: a segment may begin with it even if it is not a
	// keyframe, because what it refers to was sent.
	Resumes bool
	// Silent reports, for audio, that the picture stands still: At is then where the picture would be by now.
	Silent bool
	// Alone reports that the other track has not come for seconds.
	Alone bool
	// Boundary is where a segment that begins with the unit divides the audio: a decoding time.
	Boundary int64
}
