package segmenter

import (
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// unit is an access unit on its way through the stages: a frame, what its bitstream says, and its place in time. All times
// are 90 kHz ticks on the publisher's time line.
type unit struct {
	frame  *ingest.Frame
	survey codec.Survey // of a picture
	video  bool

	pts, dts int64
	dur      int64 // how long it is usually shown or heard
	// at is where a segment that begins with it begins to be shown: of a picture, the decoding time plus the composition
	// offset of the newest keyframe; of sound, its presentation time.
	at     int64
	key    bool // a segment may begin with it
	access bool // a decoder may, be it that a better beginning is near

	// resumes says that its time line broke off just now while the publisher went on: a segment may begin with it even
	// where it is no keyframe, for what it refers to was sent.
	resumes bool
	// silent says, of sound, that the picture stands still: at is then where the picture would be by now.
	silent bool
	// alone says that the other track has not come for seconds.
	alone bool
	// boundary is where sound is parted by a segment that begins with it: a decoding time.
	boundary int64
}
