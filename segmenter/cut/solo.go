package cut

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Solo is the policy of a single stream: its cadence and its own wall clock.
type Solo struct {
	cadence cadence
	clock   Wallclock

	number  uint64    // the next
	first   bool      // it is the first of the recording
	broken  bool      // a discontinuity precedes it
	after   time.Time // the end of what is listed
	made    time.Time // when the first frame of the connection was made; zero: as it arrived
	waiting bool      // for a keyframe
	since   int64     // DTS of the first picture that was dropped for lack of a keyframe
}

// Unevenness is how much later than the last frame the next one may come; for slow pictures no more than that.
const Unevenness = codec.Clock / 20

// SoloOptions are the settings for cutting a single stream.
type SoloOptions struct {
	Segment   time.Duration // the wanted duration of segments
	Target    time.Duration // fixed EXT-X-TARGETDURATION, whole seconds; 0: learned
	MaxTarget time.Duration // the longest that may be learned
	MaxDrift  time.Duration // of media time from the wall clock before that is corrected
}

// NewSolo returns the policy of a recording's first segment.
func NewSolo(o SoloOptions) Solo {
	return Solo{cadence: newCadence(o), clock: NewWallclock(o.MaxDrift)}
}

// Longest returns the most ticks that a segment may last.
func (s *Solo) Longest() int64 { return s.cadence.longest() }

// SetTarget sets a fixed target duration, in seconds.
func (s *Solo) SetTarget(target int) { s.cadence.target = target }

// Announce takes the longest segment that a sender of whole segments makes, in seconds; 0 if it does not say.
func (s *Solo) Announce(longest int) { s.cadence.announce(int64(longest) * codec.Clock) }

// Connect sets when the first frame of a connection was made; it may have come in a burst.
func (s *Solo) Connect(made time.Time) { s.made = made }

// Wall returns the wall time of a segment that nobody has seen yet: the clock may have been set back since it began.
func (s *Solo) Wall(g *Segment) time.Time { return g.Wall.Add(g.Moved - s.clock.moved) }

// Settle keeps the wall time as it is: viewers have been told it.
func (s *Solo) Settle() { s.clock.Settle() }

// NoPictureComes handles audio that finds no open segment where there should be a picture. It reports whether pictures with which a segment
// could begin have been missing for so long that none can be expected any more.
func (s *Solo) NoPictureComes(u *Unit) bool {
	if !s.waiting {
		s.waiting, s.since = true, u.PTS
	}
	return u.PTS-s.since >= s.cadence.limit+codec.Clock
}

// Resume continues numbers and wall time where the table ends. A discontinuity precedes what follows, unless nothing came before.
func (s *Solo) Resume(next uint64, end time.Time, first bool) {
	s.number, s.after, s.first = next, end, first
	s.broken, s.waiting = true, false
	s.cadence.reset()
}

// Follow takes over in the middle of a segment that was cut by another policy.
func (s *Solo) Follow(open Segment) {
	s.number, s.broken, s.first = open.Number+1, false, false
	s.clock.Anchor(open.Wall, open.Wall, open.Start)
	s.clock.Settle()
}

// Next implements Policy.
func (s *Solo) Next(u *Unit, open *Segment) (Segment, bool) {
	if u.Video {
		s.learn(u)
	}
	if open == nil {
		return s.begin(u)
	}
	s.clock.Observe(u.Frame.Arrival, u.At)
	elapsed := u.At - open.Start
	switch {
	case u.Silent:
		// The picture stands still while the audio goes on, and so does the playlist. That was noticed late, maybe too late for the target
		// duration: then the cut lies a little in the past, with some audio after it already.
		if !s.cadence.overdue(elapsed, u.Duration) {
			return Segment{}, false
		}
		at := min(u.At, open.Start+s.cadence.longest())
		return s.cut(open, at, at-(u.At-u.Boundary), true), true
	case !u.Video:
		if elapsed < s.cadence.segment && !s.cadence.overdue(elapsed, u.Duration*3/2) && (s.cadence.target > 0 || elapsed < firstMin) {
			return Segment{}, false
		}
	case u.Key && s.cadence.atKey(elapsed):
	case s.cadence.overdue(elapsed, u.Duration+min(u.Duration/2, Unevenness)):
		return s.cut(open, u.At, u.Boundary, !u.Key), true
	default:
		return Segment{}, false
	}
	// After a step back the segment may overlap the previous one, but times still rise from row to row.
	if notBefore := s.clock.At(open.Start).Add(time.Millisecond); s.clock.Drifted(u.Frame.Arrival, u.At, notBefore) {
		s.clock.Anchor(u.Frame.Arrival, notBefore, u.At)
		s.broken = true
	}
	return s.cut(open, u.At, u.Boundary, false), true
}

// learn learns from a picture.
func (s *Solo) learn(u *Unit) {
	if u.Key {
		s.cadence.key(u.At)
	}
	if u.Survey.Access == codec.Clean && s.cadence.announced == 0 && s.cadence.target == 0 {
		t := u.Frame.Track
		s.cadence.announce(codec.Ticks(t.KeyframeInterval))
		s.cadence.announce(codec.X264KeyInterval(u.Frame.Units, t.FrameRate))
	}
}

// begin finds the place of the first segment of a timeline. It drops a picture that is not a keyframe, unless the encoder has sent none for
// so long that it seems to use gradual refresh.
func (s *Solo) begin(u *Unit) (Segment, bool) {
	keyless := u.Video && !u.Key
	if keyless && !u.Resumes {
		if !s.waiting {
			s.waiting, s.since = true, u.DTS
		}
		if u.DTS-s.since < s.cadence.limit {
			return Segment{}, false
		}
	}
	s.waiting = false
	s.clock.Anchor(s.Instant(u), s.after, u.At)
	g := Segment{
		Number: s.number, Start: u.At, Boundary: u.Boundary, Wall: s.clock.At(u.At), Moved: s.clock.moved,
		Discontinuity: s.broken && !s.first, Keyless: keyless,
	}
	s.number, s.broken, s.first = s.number+1, false, false
	return g, true
}

// Instant returns when a unit that begins a timeline was made: the first of a connection may have come in a burst.
func (s *Solo) Instant(u *Unit) time.Time {
	at := u.Frame.Arrival
	if !s.made.IsZero() && s.made.Before(at) && at.Sub(s.made) < Duration(Keyless) {
		at = s.made
	}
	s.made = time.Time{}
	return at
}

func (s *Solo) cut(open *Segment, at, boundary int64, keyless bool) Segment {
	g := Segment{
		Number: open.Number + 1, Start: at, Boundary: boundary, Wall: s.clock.At(at), Moved: s.clock.moved,
		Discontinuity: s.broken, Keyless: keyless,
	}
	s.number, s.broken = g.Number+1, false
	return g
}

// Fix implements Policy.
func (s *Solo) Fix(duration int64) int {
	s.clock.Settle() // what is listed keeps its time
	return s.cadence.fix(duration)
}
