package normalise

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

const (
	stillSpan   = 4 * ingest.Clock / 10 // ticks; time stamps that stay within it stand still
	stillTime   = 5 * time.Second       // of arrival, after which that is an error
	stillFrames = 30                    // that came meanwhile at least
	stillPause  = 2 * time.Second       // without a look: it was a pause, and counts anew
)

// still notices time stamps that do not go on. It looks now and again, which is enough: those that do go on are elsewhere
// a second later. Files that are sent more slowly than they play are none: 60 frames a second give 24 within its span.
type still struct {
	begun  bool
	since  time.Duration // arrival at the first look
	newest time.Duration // at the newest
	frames int64         // that had come at the first
	count  int64         // at the newest
	lo, hi int64         // of the time stamps that were seen
}

// look takes the newest time stamp as it was sent, and how many frames have come. It gives the number of those that came
// within its span, where it is to be an error; 0 otherwise.
func (s *still) look(at, frames int64, arrival time.Duration) int64 {
	lo, hi := min(s.lo, at), max(s.hi, at)
	if !s.begun || hi-lo > stillSpan || arrival-s.newest > stillPause || frames == s.count {
		*s = still{begun: true, since: arrival, newest: arrival, frames: frames, count: frames, lo: at, hi: at}
		return 0
	}
	s.newest, s.count, s.lo, s.hi = arrival, frames, lo, hi
	if n := frames - s.frames; n >= stillFrames && arrival-s.since >= stillTime {
		return n
	}
	return 0
}
