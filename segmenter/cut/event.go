package cut

import "time"

// Segment is one segment as the cutter sees it.
type Segment struct {
	Number   uint64
	Start    int64     // presentation time of its first access unit
	Boundary int64     // decoding time of its first access unit: audio before it belongs to the previous segment
	Wall     time.Time // PROGRAM-DATE-TIME of its first access unit
	// Discontinuity reports that EXT-X-DISCONTINUITY precedes it.
	Discontinuity bool
	Independent   bool          // a decoder can begin with it
	Keyless       bool          // no keyframe came in time
	Moved         time.Duration // how far the wall clock had been moved back in total: see Solo.Wall
}

// EventKind is the kind of an Event.
type EventKind uint8

const (
	EventOpen  EventKind = iota // a segment begins
	EventUnit                   // an access unit goes to a segment
	EventClose                  // a segment is complete
	EventBreak                  // the timeline breaks: what follows is unrelated to the times before
	EventPart                   // a part of a segment ends, and the next begins: see Parts
)

// Event is a decision of the cutter. Packagers consume them in their order: of one segment Open, then each Unit and Part, then Close;
// the next may be opened before the one before it is closed, which still waits for late sound.
type Event struct {
	Kind    EventKind
	Segment Segment // of Open and Close; of Part its Wall alone: zero, or when the segment begins, as viewers are told it
	Number  uint64  // of Unit: the segment it goes to; of Part: the segment that it is of
	Unit    *Unit   // of Unit; borrowed

	Tracks Tracks // of Open: what the segment contains

	End    int64 // of Close: presentation time at which it ends
	Target int   // of Close: EXT-X-TARGETDURATION, seconds
	CutOff bool  // of Close: its timeline broke off in the middle of it

	Length     int64 // of Part: what it lasts, ticks
	PartTarget int64 // of Part: PART-TARGET, ticks
	Next       int64 // of Part: the decoding time of the picture that the next part begins with, ticks
	Sound      bool  // of Part: the next begins with sound instead, because the picture stands still
}
