package segmenter

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// solo is the policy of a stream on its own: its cadence and its own wall clock.
type solo struct {
	cadence cadence
	clock   wallclock

	number  uint64    // the next
	first   bool      // it is the first of the recording
	broken  bool      // a discontinuity stands before it
	after   time.Time // the end of what is listed
	made    time.Time // when the first frame of the connection was made; zero: as it arrived
	waiting bool      // for a keyframe
	since   int64     // DTS of the first picture that was dropped for want of one
}

// unevenness is by which the next frame may come later than the last one did; of slow pictures no more.
const unevenness = Clock / 20

// SoloOptions are what a stream on its own is cut by.
type SoloOptions struct {
	Segment   time.Duration // the wanted duration of segments
	Target    time.Duration // fixed EXT-X-TARGETDURATION, whole seconds; 0: learned
	MaxTarget time.Duration // the longest that learning may arrive at
	MaxDrift  time.Duration // see Wallclock
}

// NewSolo returns the policy of a recording's first segment.
func NewSolo(o SoloOptions) solo {
	return solo{cadence: newCadence(o), clock: wallclock{maxDrift: o.MaxDrift}}
}

// Longest returns the most ticks that a segment may last.
func (s *solo) Longest() int64 { return s.cadence.longest() }

// Keep takes over a target duration that is fixed, seconds.
func (s *solo) Keep(target int) { s.cadence.target = target }

// Connect says when the first frame of a connection was made, which may have come in a burst.
func (s *solo) Connect(made time.Time) { s.made = made }

// Wall returns the wall time of a segment that nobody has been shown yet: the clock may have been set back since it began.
func (s *solo) Wall(g *segment) time.Time { return g.wall.Add(g.moved - s.clock.moved) }

// Despairs decides on sound that finds no open segment where there should be a picture, and reports whether none that a
// segment could begin with has come for so long that none can be expected any more.
func (s *solo) Despairs(u *unit) bool {
	if !s.waiting {
		s.waiting, s.since = true, u.pts
	}
	return u.pts-s.since >= s.cadence.limit+Clock
}

// resume takes up numbers and wall time where the table ends. A discontinuity stands before what follows, unless nothing
// came before.
func (s *solo) resume(next uint64, end time.Time, first bool) {
	s.number, s.after, s.first = next, end, first
	s.broken, s.waiting = true, false
	s.cadence.reset()
}

// follow takes over in the middle of a segment that was cut by another policy.
func (s *solo) follow(open segment) {
	s.number, s.broken, s.first = open.number+1, false, false
	s.clock.anchor(open.wall, open.wall, open.start)
	s.clock.settle()
}

// next implements policy.
func (s *solo) next(u *unit, open *segment) (segment, bool) {
	if u.video {
		s.learn(u)
	}
	if open == nil {
		return s.begin(u)
	}
	s.clock.observe(u.frame.Arrival, u.at)
	elapsed := u.at - open.start
	switch {
	case u.silent:
		// The picture stands still, the sound goes on: so does the playlist. That it does was seen late, maybe too late for
		// the target duration: then the cut lies a little back, and some sound before it.
		if !s.cadence.overdue(elapsed, u.dur) {
			return segment{}, false
		}
		at := min(u.at, open.start+s.cadence.longest())
		return s.cut(open, at, at-(u.at-u.boundary), true), true
	case !u.video:
		if elapsed < s.cadence.segment && !s.cadence.overdue(elapsed, u.dur*3/2) && (s.cadence.target > 0 || elapsed < firstMin) {
			return segment{}, false
		}
	case u.key && s.cadence.atKey(elapsed):
	case s.cadence.overdue(elapsed, u.dur+min(u.dur/2, unevenness)):
		return s.cut(open, u.at, u.boundary, !u.key), true
	default:
		return segment{}, false
	}
	if s.clock.drifted(u.frame.Arrival, u.at) {
		// A step back may overlap the segment before, but times still rise from row to row.
		s.clock.anchor(u.frame.Arrival, s.clock.at(open.start).Add(time.Millisecond), u.at)
		s.broken = true
	}
	return s.cut(open, u.at, u.boundary, false), true
}

// learn notes a picture.
func (s *solo) learn(u *unit) {
	if u.key {
		s.cadence.key(u.at)
	}
	if u.survey.Access == codec.Clean && s.cadence.announced == 0 && s.cadence.target == 0 {
		t := u.frame.Track
		s.cadence.announce(ticks(t.KeyframeInterval))
		s.cadence.announce(codec.X264KeyInterval(u.frame.Units, t.FrameRate))
	}
}

// begin finds the place of the first segment of a time line. A picture that is no keyframe is dropped, unless the encoder
// has sent none for so long that it seems to use gradual refresh.
func (s *solo) begin(u *unit) (segment, bool) {
	keyless := u.video && !u.key
	if keyless && !u.resumes {
		if !s.waiting {
			s.waiting, s.since = true, u.dts
		}
		if u.dts-s.since < s.cadence.limit {
			return segment{}, false
		}
	}
	s.waiting = false
	s.clock.anchor(s.instant(u), s.after, u.at)
	g := segment{
		number: s.number, start: u.at, boundary: u.boundary, wall: s.clock.at(u.at), moved: s.clock.moved,
		discontinuity: s.broken && !s.first, keyless: keyless,
	}
	s.number, s.broken, s.first = s.number+1, false, false
	return g, true
}

// instant is when a unit with which a time line begins was made: the first of a connection may have come in a burst.
func (s *solo) instant(u *unit) time.Time {
	at := u.frame.Arrival
	if !s.made.IsZero() && s.made.Before(at) && at.Sub(s.made) < duration(keylessTicks) {
		at = s.made
	}
	s.made = time.Time{}
	return at
}

func (s *solo) cut(open *segment, at, boundary int64, keyless bool) segment {
	g := segment{
		number: open.number + 1, start: at, boundary: boundary, wall: s.clock.at(at), moved: s.clock.moved,
		discontinuity: s.broken, keyless: keyless,
	}
	s.number, s.broken = g.number+1, false
	return g
}

// fix implements policy.
func (s *solo) fix(duration int64) int {
	s.clock.settle() // what is listed keeps its time
	return s.cadence.fix(duration)
}
