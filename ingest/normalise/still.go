package normalise

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

const (
	stillSpan   = 4 * ingest.Clock / 10 // ticks; time stamps that stay within it stand still
	stillTime   = 5 * time.Second       // of arrival, after which that is an error
	stillFrames = 30                    // that came meanwhile at least
	stillPause  = time.Second           // without a frame: it was a pause, and counts anew
)

// still notices time stamps that do not go on. Files that are sent more slowly than they play are none: at 60 frames a
// second, 24 of them are within its span.
type still struct {
	frames int
	since  time.Time // arrival of the first of them
	newest time.Time
	lo, hi int64
}

// add takes a frame's time stamp as it was sent; true where it is to be an error.
func (s *still) add(at int64, arrival time.Time) bool {
	lo, hi := min(s.lo, at), max(s.hi, at)
	if s.frames == 0 || hi-lo > stillSpan || arrival.Sub(s.newest) > stillPause {
		s.frames, s.since, lo, hi = 0, arrival, at, at
	}
	s.frames++
	s.newest, s.lo, s.hi = arrival, lo, hi
	return s.frames >= stillFrames && arrival.Sub(s.since) >= stillTime
}
