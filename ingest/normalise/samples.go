package normalise

import "github.com/hlsorigin/hlsorigin/ingest"

// millisecond in 90 kHz ticks.
const millisecond = ingest.Clock / 1000

// drawn is how slowly the sample count follows the timestamps: a difference of one tick moves it by one tick in this many ticks, three
// seconds. A drift of 100 ppm is then followed at a distance of 27 ticks, to which rounding adds 45.
const drawn = 3 * ingest.Clock

// samples derives the timestamps of audio from its number of samples, since those that come are rounded to milliseconds. As long as both
// agree, frames follow one another exactly.
type samples struct {
	begun bool
	rate  int64 // samples per second
	count int64 // samples of a frame
	ticks int64 // its length, rounded down
	parts int64 // the remainder, in parts of rate
	next  int64 // where the next frame is expected, ticks
	rest  int64 // fraction of a tick, in parts of rate
	off   int64 // sum of differences, each times the length of its frame, that has not moved anything yet
}

// place returns the timestamp of a frame that came with pts and holds count samples. It is within a millisecond of pts. If the encoder's
// clock runs differently from its samples, the count follows the clock, too slowly to be heard. If the timestamps jump, it starts over.
func (s *samples) place(pts, count, rate int64) int64 {
	e := pts - s.next
	if !s.begun || s.rate != rate || s.count != count || !within(e, 2*millisecond) {
		*s = samples{begun: true, rate: rate, count: count, ticks: count * ingest.Clock / rate, parts: count * ingest.Clock % rate, next: pts}
		e = 0
	}
	if !within(e, millisecond) {
		s.next = max(pts-millisecond, min(pts+millisecond, s.next))
		e = pts - s.next
	}
	if s.off += e * s.ticks; !within(s.off, drawn) {
		s.next += s.off / drawn
		s.off %= drawn
	}
	at := s.next
	s.next += s.ticks
	if s.rest += s.parts; s.rest >= rate {
		s.rest -= rate
		s.next++
	}
	return at
}
