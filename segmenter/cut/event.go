package cut

import "time"

// Segment is one segment as the cutter sees it.
type Segment struct {
	Number   uint64
	Start    int64     // presentation time of its first access unit
	Boundary int64     // decoding time of its first access unit: sound before it belongs to the segment before
	Wall     time.Time // PROGRAM-DATE-TIME of its first access unit
	// Discontinuity says that EXT-X-DISCONTINUITY stands before it.
	Discontinuity bool
	Independent   bool          // a decoder can begin with it
	Keyless       bool          // no keyframe came in time
	Moved         time.Duration // by which the wall clock had been moved back in all: see Solo.Wall
}

// EventKind says what the cutter decided.
type EventKind uint8

const (
	EventOpen  EventKind = iota // a segment begins
	EventUnit                   // an access unit goes to a segment
	EventClose                  // a segment is complete
	EventBreak                  // the time line breaks: what follows has nothing to do with the times before
	EventPart                   // a part of a segment ends, and the next begins: see Parts
)

// Event is a decision of the cutter. Packagers consume them in their order: of one segment Open, then each Unit and Part, then Close;
// the next may be opened before the one before it is closed, which still waits for late sound.
type Event struct {
	Kind    EventKind
	Segment Segment // of Open and Close
	Number  uint64  // of Unit: the segment it goes to; of Part: the segment that it is of
	Unit    *Unit   // of Unit; borrowed

	Tracks Tracks // of Open: what the segment consists of

	End    int64 // of Close: presentation time at which it ends
	Target int   // of Close: EXT-X-TARGETDURATION, seconds
	CutOff bool  // of Close: its time line broke off in the middle of it

	Length     int64 // of Part: what it lasts, ticks
	PartTarget int64 // of Part: PART-TARGET, ticks
}
