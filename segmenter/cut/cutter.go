package cut

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// audioWait is how long a segment that has been cut waits for late audio.
const audioWait = 50 * time.Millisecond

// Policy says where segments are cut: a recording's own cadence, or its ladder's grid.
type Policy interface {
	// Next reports whether a segment begins with u, and returns its place. open is the segment that ends there, or nil.
	Next(u *Unit, open *Segment) (Segment, bool)
	// Fix sets the target duration, in seconds, when a segment of duration ticks is complete, and returns the same ever after.
	Fix(duration int64) int
}

// Cutter decides where segments begin and end: access units in, events out. It does no I/O, uses no clock, and writes nothing: that is up
// to the packagers that consume the events.
type Cutter struct {
	policy  Policy
	longest int64 // the most ticks that a segment may last: see Fix

	isOpen    bool
	open      Segment
	leads     bool  // pictures that are shown before its first one may still come
	entry     int64 // presentation time of its first picture
	isClosing bool
	closing   Segment // complete except for late audio
	closeBy   time.Time
	prompt    bool // no audio is late: see Prompt

	tracks    Tracks        // what segments contain
	nextAudio *ingest.Track // replaces the audio track at the next discontinuity
	heard     int64         // where the newest audio ends
	isHeard   bool

	events []Event
}

// NewCutter returns a Cutter without tracks. Until a target duration is fixed, no segment lasts more than longest ticks.
func NewCutter(p Policy, longest int64) Cutter { return Cutter{policy: p, longest: longest} }

// SetPolicy sets another policy, from the current segment on.
func (c *Cutter) SetPolicy(p Policy) { c.policy = p }

// Fix sets the target duration, in seconds.
func (c *Cutter) Fix(target int) { c.longest = Longest(target) }

// SetTracks sets what segments contain, from the next one on.
func (c *Cutter) SetTracks(t Tracks) { c.tracks, c.nextAudio = t, nil }

// SetVideo changes the video track; nil means that there is none any more.
func (c *Cutter) SetVideo(t *ingest.Track) { c.tracks.Video = t }

// SetAudio changes the audio track.
func (c *Cutter) SetAudio(t *ingest.Track) { c.tracks.Audio = t }

// SetNextAudio sets a track that replaces the audio track at the next discontinuity, or nil.
func (c *Cutter) SetNextAudio(t *ingest.Track) { c.nextAudio = t }

// Tracks returns what segments contain.
func (c *Cutter) Tracks() Tracks { return c.tracks }

// Prompt says that units come in the order of their times, so that a segment is complete where it is cut, and no later audio is awaited.
func (c *Cutter) Prompt(on bool) { c.prompt = on }

// IsOpen reports whether a segment is open.
func (c *Cutter) IsOpen() bool { return c.isOpen }

// Newest returns the segment that was opened last. It is open if IsOpen reports so.
func (c *Cutter) Newest() Segment { return c.open }

// Renumber gives the open segment another number, with a discontinuity before it. Nobody may have seen it under its old one.
func (c *Cutter) Renumber(number uint64) { c.open.Number, c.open.Discontinuity = number, true }

// emit adds an event.
func (c *Cutter) emit(e Event) { c.events = append(c.events, e) }

// Take returns the events. They are valid until the next call of any other method.
func (c *Cutter) Take() []Event {
	e := c.events
	c.events = c.events[:0]
	return e
}

// Overruns reports whether a unit comes so late after the one before it that no cut can keep the target duration.
func (c *Cutter) Overruns(u *Unit) bool {
	if !c.isOpen {
		return false
	}
	elapsed := max(u.DTS-c.open.Boundary, u.At-c.open.Start)
	return elapsed > 0 && elapsed > c.longest
}

// Put processes one access unit. It returns false if no segment is open and none begins with it.
func (c *Cutter) Put(u *Unit) bool {
	switch {
	case !c.isOpen:
		if u.Video || c.tracks.Video == nil {
			s, ok := c.policy.Next(u, nil)
			if !ok {
				return false
			}
			c.begin(u, s)
			break
		}
		return false
	case u.Video, !c.isClosing && (c.tracks.Video == nil || u.Silent):
		if s, ok := c.policy.Next(u, &c.open); ok {
			c.cut(u, s)
		}
	}
	if u.Video {
		if c.leads && u.PTS != c.entry {
			c.leading(u)
		}
		c.emit(Event{Kind: EventUnit, Number: c.open.Number, Unit: u})
		return true
	}
	if c.isClosing && u.PTS >= c.open.Boundary {
		c.close() // before audio goes to the next
	}
	number := c.open.Number
	if c.isClosing {
		number = c.closing.Number
	}
	c.sound(u, number)
	if c.isClosing && u.PTS+2*u.Duration > c.open.Boundary {
		c.close()
	}
	return true
}

func (c *Cutter) sound(u *Unit, number uint64) {
	c.heard, c.isHeard = u.PTS+u.Duration, true
	c.emit(Event{Kind: EventUnit, Number: number, Unit: u})
}

// leading detects pictures that are shown before the segment's first one and refer to earlier pictures: then the segment is not independent
// (RASL pictures of H.265; open GOPs of H.264). Pictures after another random access point refer to the segment itself.
func (c *Cutter) leading(u *Unit) {
	switch {
	case !c.leads:
	case u.Survey.Access >= codec.Open:
		c.leads = false
	case u.Survey.Leading || u.Frame.Track.Codec == ingest.H264 && u.PTS < c.entry:
		c.leads, c.open.Independent = false, false
	}
}

// begin opens a segment with u in it.
func (c *Cutter) begin(u *Unit, s Segment) {
	c.entry = u.PTS
	switch {
	case !u.Video:
		s.Independent = c.tracks.Video == nil
	case u.Access && !s.Keyless:
		s.Independent = u.Survey.Access > codec.Recovery || u.Survey.RecoverIn == 0
	}
	if s.Discontinuity && c.nextAudio != nil {
		c.tracks.Audio, c.nextAudio = c.nextAudio, nil
	}
	c.leads = s.Independent && u.Video && u.Survey.Access != codec.Clean || u.Survey.Access == codec.Clean && u.Frame.Track.Codec == ingest.H265
	c.isOpen, c.open = true, s
	c.emit(Event{Kind: EventOpen, Segment: s, Tracks: c.tracks})
}

// cut ends the open segment and opens the next. The old one is complete at once if its audio is, to within a frame; otherwise as soon as it
// is, or after audioWait.
func (c *Cutter) cut(u *Unit, s Segment) {
	c.close()
	if c.prompt {
		c.end(c.open, s.Start, false)
		c.begin(u, s)
		return
	}
	c.isClosing, c.closing, c.closeBy = true, c.open, u.Frame.Arrival.Add(audioWait)
	was := c.tracks.Audio
	c.begin(u, s)
	if c.tracks.Audio != was || !c.soundIsLate() {
		c.close()
	}
}

func (c *Cutter) soundIsLate() bool {
	if c.tracks.Audio == nil || !c.isHeard || c.tracks.Video == nil {
		return false
	}
	missing, frame := c.open.Boundary-c.heard, FrameDuration(c.tracks.Audio)
	return missing > frame && missing < codec.Clock
}

// close ends the segment that waits for late audio.
func (c *Cutter) close() {
	if c.isClosing {
		c.isClosing = false
		c.end(c.closing, c.open.Start, false)
	}
}

// Tick ends the wait for late audio when its time is up, and reports whether it did.
func (c *Cutter) Tick(now time.Time) bool {
	over := c.isClosing && !now.Before(c.closeBy)
	if over {
		c.close()
	}
	return over
}

func (c *Cutter) end(s Segment, end int64, cutOff bool) {
	target := c.policy.Fix(end - s.Start)
	c.Fix(target)
	c.emit(Event{Kind: EventClose, Segment: s, End: end, Target: target, CutOff: cutOff})
}

// Stop ends the timeline: the open segment is cut at a presentation time. How long the last frame is shown is a guess, which must not
// exceed the target duration.
func (c *Cutter) Stop(end int64) {
	c.close()
	if c.isOpen {
		c.isOpen = false
		end = min(max(end, c.open.Start+1), c.open.Start+c.longest)
		c.end(c.open, end, true)
	}
	c.isHeard = false
	c.emit(Event{Kind: EventBreak})
}
