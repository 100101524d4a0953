package segmenter

import (
	"time"
)

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

	tracks tracks // of Open: what the segment consists of

	end    int64 // of Close: presentation time at which it ends
	target int   // of Close: EXT-X-TARGETDURATION, seconds
	cutOff bool  // of Close: its time line broke off in the middle of it
}
