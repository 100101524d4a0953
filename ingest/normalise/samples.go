package normalise

import "github.com/hlsorigin/hlsorigin/ingest"

// millisecond in 90 kHz ticks.
const millisecond = ingest.Clock / 1000

// samples derives the time stamps of audio from the number of its samples, where those that came are rounded to
// milliseconds: as long as both agree, frames follow one another exactly.
type samples struct {
	begun bool
	rate  int64 // samples per second
	next  int64 // where the next frame is expected, ticks
	rest  int64 // of a tick, in parts of rate
}

// place is the time stamp of a frame that came with pts and holds so many samples. It is within a millisecond of pts: where
// the encoder's clock runs otherwise than its samples, the count is drawn after it, slower than anybody hears; where it
// breaks off, it begins anew.
func (s *samples) place(pts, count, rate int64) int64 {
	e := pts - s.next
	if !s.begun || s.rate != rate || !within(e, millisecond) {
		s.begun, s.rate, s.next, s.rest = true, rate, pts, 0
	} else {
		s.next += e / (millisecond / 2) // nothing within half a millisecond, which is the rounding
	}
	at := s.next
	s.rest += count * ingest.Clock
	s.next += s.rest / rate
	s.rest %= rate
	return at
}
