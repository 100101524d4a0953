package cut

import (
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Unit is an access unit on its way through the stages: a frame, what its bitstream says, and its place in time. All times
// are 90 kHz ticks on the publisher's time line.
type Unit struct {
	Frame  *ingest.Frame
	Survey codec.Survey // of a picture
	Video  bool

	PTS, DTS int64
	Duration int64 // how long it is usually shown or heard
	// At is where a segment that begins with it begins to be shown: of a picture, the decoding time plus the composition
	// offset of the newest keyframe; of sound, its presentation time.
	At     int64
	Key    bool // a segment may begin with it
	Access bool // a decoder may, be it that a better beginning is near

	// Resumes says that its time line broke off just now while the publisher went on: a segment may begin with it even
	// where it is no keyframe, for what it refers to was sent.
	Resumes bool
	// Silent says, of sound, that the picture stands still: At is then where the picture would be by now.
	Silent bool
	// Alone says that the other track has not come for seconds.
	Alone bool
	// Boundary is where sound is parted by a segment that begins with it: a decoding time.
	Boundary int64
}
