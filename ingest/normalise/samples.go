package normalise

import "github.com/hlsorigin/hlsorigin/ingest"

// millisecond in 90 kHz ticks.
const millisecond = ingest.Clock / 1000

// drawn is how slowly the count of samples is drawn after the time stamps: a difference of one tick moves it by a tick in so
// many ticks, three seconds. A drift of 100 parts in a million is then followed at a distance of 27 ticks, to which the
// rounding adds 45.
const drawn = 3 * ingest.Clock

// samples derives the time stamps of audio from the number of its samples, where those that came are rounded to
// milliseconds: as long as both agree, frames follow one another exactly.
type samples struct {
	begun bool
	rate  int64 // samples per second
	next  int64 // where the next frame is expected, ticks
	rest  int64 // of a tick, in parts of rate
	off   int64 // the sum of differences, each times the length of its frame, that has not moved anything yet
}

// place is the time stamp of a frame that came with pts and holds so many samples. It is within a millisecond of pts: where
// the encoder's clock runs otherwise than its samples, the count is drawn after it, more slowly than anybody hears; where
// it breaks off, it begins anew.
func (s *samples) place(pts, count, rate int64) int64 {
	if !s.begun || s.rate != rate || !within(pts-s.next, 2*millisecond) {
		*s = samples{begun: true, rate: rate, next: pts}
	}
	s.next = max(pts-millisecond, min(pts+millisecond, s.next))
	s.off += (pts - s.next) * count * ingest.Clock / rate
	s.next += s.off / drawn
	s.off %= drawn
	at := s.next
	s.rest += count * ingest.Clock
	s.next += s.rest / rate
	s.rest %= rate
	return at
}
