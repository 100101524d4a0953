package cut

import "time"

// tempo is how one track advances.
type tempo struct {
	seen    bool
	last    int64 // DTS of the newest frame
	dur     int64 // the usual distance between two
	shown   int64 // the latest PTS
	arrival time.Time
	quiet   time.Duration // time in which the other track arrived and this one did not
	mark    int64         // the other track's position when this one last arrived
}

// end returns where the newest frame ends, in decoding time.
func (t *tempo) end() int64 { return t.last + t.dur }

// away reports whether the track has been silent for seconds.
func (t *tempo) away() bool { return t.quiet >= max(absentAfter, 2*Duration(t.dur)) }
