package segmenter

import (
	"time"

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
	// boundary is where sound is parted by a segment that begins with it: a decoding time.
	boundary int64
}

// segment is one segment as the cutter sees it.
type segment struct {
	number   uint64
	start    int64 // presentation time of its first access unit
	boundary int64 // decoding time of its first access unit: sound before it belongs to the segment before
	wall     time.Time
	// discontinuity says that EXT-X-DISCONTINUITY stands before it.
	discontinuity bool
	independent   bool
	keyless       bool          // no keyframe came in time
	moved         time.Duration // see wallclock.moved
}

// eventKind says what the cutter decided.
type eventKind uint8

const (
	evOpen  eventKind = iota // a segment begins
	evUnit                   // an access unit goes to a segment
	evClose                  // a segment is complete
	evBreak                  // the time line breaks: what follows has nothing to do with the times before
)

// event is a decision of the cutter. Packagers consume them in their order: of one segment Open, then each Unit, then Close;
// the next may be opened before the one before it is closed, which still waits for late sound.
type event struct {
	kind    eventKind
	segment segment // of Open and Close
	number  uint64  // of Unit: the segment it goes to
	unit    *unit   // of Unit; borrowed

	video, audio *ingest.Track // of Open: what the segment consists of

	end    int64 // of Close: presentation time at which it ends
	target int   // of Close: EXT-X-TARGETDURATION, seconds
	cutOff bool  // of Close: its time line broke off in the middle of it
}

// policy says where segments are cut. It is a recording's own cadence, or its ladder's grid.
type policy interface {
	// next reports whether a segment begins with u, and its place. open is the one that ends there; nil: none is open.
	next(u *unit, open *segment) (segment, bool)
	// fix settles the target duration, seconds, when a segment of some ticks is complete. It is the same ever after.
	fix(duration int64) int
}
