package segmenter

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// audioWait is how long a segment that is cut off waits for late sound.
const audioWait = 50 * time.Millisecond

// policy says where segments are cut. It is a recording's own cadence, or its ladder's grid.
type policy interface {
	// next reports whether a segment begins with u, and its place. open is the one that ends there; nil: none is open.
	next(u *unit, open *segment) (segment, bool)
	// fix settles the target duration, seconds, when a segment of some ticks is complete. It is the same ever after.
	fix(duration int64) int
}

// cutter decides where segments begin and end: access units in, events out. It does no I/O, looks at no clock, and writes
// nothing: what a decision leads to is for the packagers that consume the events.
type cutter struct {
	policy  policy
	longest int64 // the most ticks that a segment may last: see fixed

	isOpen    bool
	open      segment
	leads     bool  // pictures that are shown before the one that it began with may still come
	entry     int64 // presentation time of that one
	isClosing bool
	closing   segment // complete but for late sound
	closeBy   time.Time

	tracks    tracks        // what segments consist of
	nextAudio *ingest.Track // takes the place of the sound at the next discontinuity
	heard     int64         // where the newest sound ends
	isHeard   bool

	events []event
}

// NewCutter returns a cutter without tracks. Until a target duration is fixed, no segment lasts more than longest, ticks.
func NewCutter(p policy, longest int64) cutter { return cutter{policy: p, longest: longest} }

// Obey lets another policy decide from the segment in hand on.
func (c *cutter) Obey(p policy) { c.policy = p }

// fixed takes over the target duration, seconds.
func (c *cutter) fixed(target int) { c.longest = longestOf(target) }

// Carry says what segments consist of from the next one on.
func (c *cutter) Carry(t tracks) { c.tracks, c.nextAudio = t, nil }

// CarryVideo changes the picture's track; nil: there is none any more.
func (c *cutter) CarryVideo(t *ingest.Track) { c.tracks.video = t }

// CarryAudio changes the sound's track.
func (c *cutter) CarryAudio(t *ingest.Track) { c.tracks.audio = t }

// ChangeAudio lets a track take the sound's place at the next discontinuity; nil: none.
func (c *cutter) ChangeAudio(t *ingest.Track) { c.nextAudio = t }

// Tracks returns what segments consist of.
func (c *cutter) Tracks() tracks { return c.tracks }

// IsOpen reports whether a segment is open.
func (c *cutter) IsOpen() bool { return c.isOpen }

// Newest returns the segment that was opened last. It is open where IsOpen says so.
func (c *cutter) Newest() segment { return c.open }

// Renumber gives the open segment another number, with a discontinuity before it: nobody has been shown it by its old one.
func (c *cutter) Renumber(number uint64) { c.open.number, c.open.discontinuity = number, true }

// emit adds an event.
func (c *cutter) emit(e event) { c.events = append(c.events, e) }

// take hands the events over. They are valid until the next call of any other method.
func (c *cutter) take() []event {
	e := c.events
	c.events = c.events[:0]
	return e
}

// overruns reports whether a unit comes so late after the one before it that no cut can keep the target duration.
func (c *cutter) overruns(u *unit) bool {
	if !c.isOpen {
		return false
	}
	elapsed := max(u.dts-c.open.boundary, u.at-c.open.start)
	return elapsed > 0 && elapsed > c.longest
}

// put decides on one access unit; false where no segment is open and none begins with it.
func (c *cutter) put(u *unit) bool {
	switch {
	case !c.isOpen:
		if u.video || c.tracks.video == nil {
			s, ok := c.policy.next(u, nil)
			if !ok {
				return false
			}
			c.begin(u, s)
			break
		}
		return false
	case u.video, !c.isClosing && (c.tracks.video == nil || u.silent):
		if s, ok := c.policy.next(u, &c.open); ok {
			c.cut(u, s)
		}
	}
	if u.video {
		if c.leads && u.pts != c.entry {
			c.leading(u)
		}
		c.emit(event{kind: evUnit, number: c.open.number, unit: u})
		return true
	}
	if c.isClosing && u.pts >= c.open.boundary {
		c.close() // before sound goes to the next
	}
	number := c.open.number
	if c.isClosing {
		number = c.closing.number
	}
	c.sound(u, number)
	if c.isClosing && u.pts+2*u.dur > c.open.boundary {
		c.close()
	}
	return true
}

func (c *cutter) sound(u *unit, number uint64) {
	c.heard, c.isHeard = u.pts+u.dur, true
	c.emit(event{kind: evUnit, number: number, unit: u})
}

// leading finds pictures that are shown before the one that the segment began with and refer to what was before it: then
// the segment is not independent (RASL pictures of H.265; open groups of pictures of H.264). Those that follow another
// random access point refer to the segment itself.
func (c *cutter) leading(u *unit) {
	switch {
	case !c.leads:
	case u.survey.Access >= codec.Open:
		c.leads = false
	case u.survey.Leading || u.frame.Track.Codec == ingest.H264 && u.pts < c.entry:
		c.leads, c.open.independent = false, false
	}
}

// begin opens a segment with u in it.
func (c *cutter) begin(u *unit, s segment) {
	c.entry = u.pts
	switch {
	case !u.video:
		s.independent = c.tracks.video == nil
	case u.access && !s.keyless:
		s.independent = u.survey.Access > codec.Recovery || u.survey.RecoverIn == 0
	}
	if s.discontinuity && c.nextAudio != nil {
		c.tracks.audio, c.nextAudio = c.nextAudio, nil
	}
	c.leads = s.independent && u.video && u.survey.Access != codec.Clean || u.survey.Access == codec.Clean && u.frame.Track.Codec == ingest.H265
	c.isOpen, c.open = true, s
	c.emit(event{kind: evOpen, segment: s, tracks: c.tracks})
}

// cut ends the open segment and opens the next. The old one is complete at once where its sound is, to within a frame, else
// as soon as that is so, or after audioWait.
func (c *cutter) cut(u *unit, s segment) {
	c.close()
	c.isClosing, c.closing, c.closeBy = true, c.open, u.frame.Arrival.Add(audioWait)
	was := c.tracks.audio
	c.begin(u, s)
	if c.tracks.audio != was || !c.soundIsLate() {
		c.close()
	}
}

func (c *cutter) soundIsLate() bool {
	if c.tracks.audio == nil || !c.isHeard || c.tracks.video == nil {
		return false
	}
	missing, frame := c.open.boundary-c.heard, audioFrameDuration(c.tracks.audio)
	return missing > frame && missing < Clock
}

// close ends the segment that waits for late sound.
func (c *cutter) close() {
	if c.isClosing {
		c.isClosing = false
		c.end(c.closing, c.open.start, false)
	}
}

// tick ends the wait for late sound when its time is over, and reports whether it did.
func (c *cutter) tick(now time.Time) bool {
	over := c.isClosing && !now.Before(c.closeBy)
	if over {
		c.close()
	}
	return over
}

func (c *cutter) end(s segment, end int64, cutOff bool) {
	target := c.policy.fix(end - s.start)
	c.fixed(target)
	c.emit(event{kind: evClose, segment: s, end: end, target: target, cutOff: cutOff})
}

// stop ends the time line: what is open is cut off at a presentation time. How long the last frame is shown is a guess, and
// must not break the target duration.
func (c *cutter) stop(end int64) {
	c.close()
	if c.isOpen {
		c.isOpen = false
		end = min(max(end, c.open.start+1), c.open.start+c.longest)
		c.end(c.open, end, true)
	}
	c.isHeard = false
	c.emit(event{kind: evBreak})
}
