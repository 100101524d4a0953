package ingest

import (
	"errors"
	"time"
)

// Whole is a transport stream segment that its sender cut and packed, for who passes it on as it is. It comes as the Whole of a Frame that
// has no units of its own; all of it is borrowed, like the frame.
type Whole struct {
	Packets []byte  // of 188 bytes each, beginning with the tables
	Frames  []Frame // what is in it, in decoding order, on a time line that goes on from the segment before

	Duration      int64     // as the sender's playlist says, 90 kHz ticks
	Longest       int       // EXT-X-TARGETDURATION of that playlist, seconds
	Discontinuity bool      // the sender's time line breaks before it
	Wall          time.Time // its EXT-X-PROGRAM-DATE-TIME; zero: none
	Ranges        string    // its EXT-X-DATERANGE lines, each with its line end

	// Lost says that the sender's playlist named the segment, and it never came: there are no packets and no frames, and it is a gap.
	Lost bool
}

// NotWhole is the error of a segment that cannot be passed on as it is: its frames have to be written one by one.
type NotWhole struct{ Reason string }

func (e *NotWhole) Error() string { return e.Reason }

// IsNotWhole returns the reason, if err is a NotWhole.
func IsNotWhole(err error) (reason string, ok bool) {
	var n *NotWhole
	if errors.As(err, &n) {
		return n.Reason, true
	}
	return "", false
}
