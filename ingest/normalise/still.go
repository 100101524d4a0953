package normalise

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

const (
	stillSpan   = 4 * ingest.Clock / 10 // ticks; timestamps that stay within this stand still
	stillTime   = 5 * time.Second       // of arrival, after which this is an error
	stillFrames = 30                    // least number of frames meanwhile
	stillPause  = 2 * time.Second       // without a look: this was a pause, and the count starts over
)

// still detects timestamps that do not advance. It looks only now and again, which is enough: a second later, timestamps that advance have
// moved on. Files that are sent more slowly than they play are not affected: 60 frames a second give 24 within its span.
type still struct {
	begun  bool
	since  time.Duration // arrival at the first look
	newest time.Duration // at the newest
	frames int64         // that had come at the first
	count  int64         // at the newest look
	lo, hi int64         // range of the timestamps seen
}

// look takes the newest timestamp as sent, and how many frames have come. It returns the number of frames within its span if this is an
// error, and 0 otherwise.
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
