package cut

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Parts decides where segments are parted for low-latency playlists: the cutter's events in, one more event out before each unit
// that begins a part. Like the cutter it does no I/O and looks at no clock. The zero value parts nothing.
//
// A segment has as few parts as PART-TARGET allows, and they share the frames that the segment before had evenly, as far as none but the
// last is shorter than 85 % of PART-TARGET; the first segment, and what is longer than the one before, is parted into as many frames as fit.
// A last part of a few frames would be listed while players still load the one before it, and hls.js (1.7) then takes that for the last,
// and stands still. Where a ladder's rungs have different frame rates, they count the frames of the slowest, so that their parts begin at
// the same times.
type Parts struct {
	wanted  int64 // the wanted PART-TARGET, ticks; 0: there are no parts
	target  int64 // the one that is fixed, ticks; 0: none is
	frame   int64 // how long a frame usually lasts, ticks; 0: not known
	slowest int64 // the same of the ladder's slowest rung; 0: the stream is on its own
	lent    int64 // how long segments of the ladder's other rungs are, ticks; 0: not known

	isOpen bool
	video  bool   // pictures say where parts end
	number uint64 // of the segment
	begun  int64  // where it begins, decoding time
	usual  int64  // how long the newest was that ended without a break, ticks; 0: not known
	ended  int    // parts of it so far
	from   int64  // where the part in hand begins, decoding time
	last   int64  // the newest unit
}

// NewParts returns what parts segments into pieces of a wanted duration. target is the PART-TARGET that the recording has
// already, ticks; 0: none.
func NewParts(wanted time.Duration, target int64) Parts {
	return Parts{wanted: codec.Ticks(wanted), target: target}
}

// On reports whether there are parts.
func (p *Parts) On() bool { return p.wanted > 0 }

// Frame returns how long a frame usually lasts, ticks; 0: not known yet.
func (p *Parts) Frame() int64 { return p.frame }

// Usual returns how long segments are, ticks; 0: not known.
func (p *Parts) Usual() int64 { return p.usual }

// Ladder says how long a frame of the ladder's slowest rung lasts, and the segments of its other rungs, ticks; 0: not known.
func (p *Parts) Ladder(slowest, usual int64) { p.slowest, p.lent = slowest, usual }

// slack is by how much time stamps in milliseconds may make a part seem longer than it is, ticks.
const slack = 135

// Target returns PART-TARGET, ticks. It is fixed from the first call on.
func (p *Parts) Target() int64 {
	if p.target == 0 {
		p.target = p.wanted
		if length := p.length(); length < p.wanted*85/100 || length > p.wanted {
			// Less than 85 % of PART-TARGET is allowed at a segment's end alone.
			const step = codec.Clock / 100
			p.target = (length + slack + step - 1) / step * step
		}
	}
	return p.target
}

// length is what a part may last, ticks: whole frames, and one at least.
func (p *Parts) length() int64 {
	frame := max(p.frame, p.slowest)
	if frame <= 0 {
		return p.limit()
	}
	return max(1, (p.limit()+slack/6)/frame) * frame
}

// share is what the part in hand is to last, ticks.
func (p *Parts) share() int64 {
	frame, length := max(p.frame, p.slowest), p.length()
	if frame <= 0 || p.usual <= 0 {
		return length
	}
	most, total, index := length/frame, (p.usual+frame/2)/frame, int64(p.ended+1)
	n := (total + most - 1) / most
	if index >= n {
		return length
	}
	least := min(most, (p.limit()*85/100+slack+frame-1)/frame)
	end := max((index*total+n-1)/n, index*least)
	return min(max(p.begun+end*frame-p.from, least*frame), length)
}

// limit is what a part may last, ticks.
func (p *Parts) limit() int64 {
	if p.target > 0 {
		return p.target
	}
	return p.wanted
}

// See looks at an event before it is consumed, and returns the end of a part that is to be consumed first; false: none ends.
func (p *Parts) See(e *Event) (Event, bool) {
	switch {
	case !p.On():
	case e.Kind == EventOpen:
		at := e.Segment.Boundary
		if p.isOpen && e.Segment.Number == p.number+1 {
			p.usual = max(0, at-p.begun)
		} else if p.lent > 0 {
			p.usual = p.lent
		}
		p.isOpen, p.video, p.number = true, e.Tracks.Video != nil, e.Segment.Number
		p.begun, p.from, p.last, p.ended = at, at, at, 0
	case e.Kind == EventUnit && p.isOpen && e.Number == p.number && (e.Unit.Video || !p.video || e.Unit.Silent):
		return p.unit(e.Unit)
	case e.Kind == EventBreak:
		p.isOpen = false
	}
	return Event{}, false
}

func (p *Parts) unit(u *Unit) (Event, bool) {
	at := u.Boundary
	p.learn(u, at-p.last)
	p.last = max(p.last, at)
	lasts, frame := at-p.from, max(p.frame, 1)
	if lasts <= 0 || lasts < p.least(frame) {
		return Event{}, false
	}
	p.from = at
	p.ended++
	target := p.Target()
	return Event{
		Kind: EventPart, Number: p.number, Length: min(lasts, target), PartTarget: target,
		Next: u.DTS, Sound: p.video && (!u.Video || !u.Survey.Content),
	}, true
}

// Left is after how many ticks from the newest unit on the one is due that ends the part in hand, or, as the segment before had it, the
// segment; 0: there is none in hand.
func (p *Parts) Left() int64 {
	if !p.On() || !p.isOpen {
		return 0
	}
	frame := max(p.frame, 1)
	left := p.from + p.least(frame) - p.last
	left = max(1, (left+frame-1)/frame) * frame
	if end := p.begun + p.usual; p.usual > 0 && end > p.last {
		left = min(left, end-p.last)
	}
	return left
}

// least is how far from its beginning the first unit is that ends a part, ticks.
func (p *Parts) least(frame int64) int64 {
	return min(p.share()-frame/2, p.limit()+slack-frame+1)
}

// learn takes the distance of two units into the usual one. What the track says of its rate is better than what time stamps in
// milliseconds do.
func (p *Parts) learn(u *Unit, step int64) {
	if said := announced(u); said > 0 && (step <= 0 || near5(step, said)) {
		p.frame = said
		return
	}
	switch {
	case step <= 0:
	case p.frame == 0:
		p.frame = step
	case step > p.frame/2 && step < 2*p.frame:
		p.frame += (step - p.frame) / 8
	}
}

// announced is the duration of a frame by what its track says, ticks; 0: it says nothing.
func announced(u *Unit) int64 {
	switch t := u.Frame.Track; {
	case !u.Video:
		return FrameDuration(t)
	case t.FrameRate > 0:
		return codec.FrameDuration(t.FrameRate)
	}
	return 0
}

// near5 reports whether a step is the announced one to within two milliseconds and a twentieth.
func near5(step, said int64) bool { return max(step-said, said-step) <= 180+said/20 }
