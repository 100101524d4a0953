package grid

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// Grid is the common cut grid of a ladder: its boundaries, its wall clock, its target duration, and the position of each rung. Its owner
// locks it.
type Grid struct {
	bounds
	o      Options
	ladder Ladder
	rungs  []*Rung // best first

	clock    cut.Wallclock
	target   int  // seconds; 0 until the first segment is complete
	restored bool // the current recording was continued after a restart

	events []Event
}

// Options are the settings for cutting a ladder.
type Options struct {
	Segment   time.Duration // the wanted duration of segments
	MaxTarget time.Duration // the longest target duration that may be learned
	MaxDrift  time.Duration // of media time from the wall clock before that is corrected
}

// Ladder is what a grid needs to know from its ladder.
type Ladder interface {
	// Target returns the target duration of a rung's recording in seconds, or 0 if it has none yet.
	Target(r *Rung) int
	// End returns the wall time at which the listed segments end.
	End() time.Time
}

// EventKind is the kind of an Event.
type EventKind uint8

// What a decision may lead to besides a segment.
const (
	Excluded  EventKind = iota // a rung is excluded from now on
	Relearned                  // all rungs have a new keyframe interval
	Restarted                  // the encoder's timestamps start over, with a discontinuity in all rungs
)

// Event is something the ladder must know.
type Event struct {
	Kind     EventKind
	Rung     *Rung         // of Excluded
	Interval time.Duration // of Relearned
	Number   uint64        // of Restarted: the number that begins with it
}

// New returns the grid of a ladder. Its rungs are named best first.
func New(o Options, l Ladder, streams []string) *Grid {
	g := &Grid{o: o, ladder: l}
	for _, name := range streams {
		g.rungs = append(g.rungs, &Rung{stream: name})
	}
	g.Reset()
	return g
}

// Rungs returns the rungs, best first.
func (g *Grid) Rungs() []*Rung { return g.rungs }

// Reset prepares the grid for the ladder's next recording.
func (g *Grid) Reset() {
	g.bounds, g.target, g.restored = bounds{wanted: codec.Ticks(g.o.Segment)}, 0, false
	g.clock = cut.NewWallclock(g.o.MaxDrift)
	for _, r := range g.rungs {
		r.reset()
	}
}

// Restore records that the recording continues after a restart, with the target duration of one of its rungs in seconds.
func (g *Grid) Restore(target int) { g.target, g.restored = max(g.target, target), true }

// Restored reports whether the recording was continued after a restart.
func (g *Grid) Restored() bool { return g.restored }

// Target returns the target duration in seconds, or 0 if none is set.
func (g *Grid) Target() int { return g.target }

// Take returns the events. They are valid until the next call of any other method.
func (g *Grid) Take() []Event {
	e := g.events
	g.events = g.events[:0]
	return e
}

func (g *Grid) emit(e Event) { g.events = append(g.events, e) }

// exclude excludes a rung for the rest of the recording.
func (g *Grid) exclude(r *Rung, why string) {
	if r.out == "" {
		r.out = why
		g.emit(Event{Kind: Excluded, Rung: r})
	}
}

// Fix sets the target duration in seconds: the first segment that any rung lists decides for all. duration is in ticks.
func (g *Grid) Fix(duration int64) int {
	if g.target == 0 {
		g.target = max(1, cut.RoundSeconds(g.wanted), cut.RoundSeconds(g.step), cut.RoundSeconds(duration))
		if g.sure {
			g.target = max(1, cut.RoundSeconds(g.step), cut.RoundSeconds(duration))
		}
	}
	return g.target
}

// NextNumber returns the number after all that any rung has listed.
func (g *Grid) NextNumber() (n uint64) {
	for _, r := range g.rungs {
		if r.listed {
			n = max(n, r.last+1)
		}
	}
	return n
}

// Arrival returns when the newest boundary was reached, or zero if there is none.
func (g *Grid) Arrival() time.Time {
	if b := g.bound(g.newest); b != nil {
		return b.arrival
	}
	return time.Time{}
}

// GoesOn reports whether any rung has a publisher, or waits for one.
func (g *Grid) GoesOn(now time.Time) bool {
	for _, r := range g.rungs {
		if r.GoesOn(now) {
			return true
		}
	}
	return false
}

// Breaks reports whether a number begins with a discontinuity.
func (g *Grid) Breaks(number uint64) bool { return g.breaks[number] }

// Whole reports whether a segment of length ticks fills its place on the grid, to within a frame.
func (g *Grid) Whole(length int64) bool { return g.step == 0 || length+codec.Clock/15 >= g.step }

// Wall returns the PROGRAM-DATE-TIME, common to all rungs, of a number that is about to be listed, or own if it is not on the grid.
func (g *Grid) Wall(number uint64, own time.Time) time.Time {
	g.clock.Settle() // what is listed keeps its time
	if b := g.bound(number); b != nil {
		return b.wall
	}
	return own
}

// Gap returns what is known about a number whose bytes a rung does not have: its wall time, or after if that is unknown; its duration in
// ticks; and whether a discontinuity precedes it.
func (g *Grid) Gap(number uint64, after time.Time) (start time.Time, duration int64, discontinuity bool) {
	start, duration, discontinuity = after, max(g.step, 1), g.breaks[number]
	if g.step == 0 {
		duration = max(g.wanted, 1)
	}
	if b := g.bound(number); b != nil {
		start = b.wall
		if next := g.bound(number + 1); next != nil && !g.breaks[number+1] {
			duration = next.at - b.at
		}
	}
	return start, duration, discontinuity
}

// List records that a rung listed a number, whose newest frame came at an instant.
func (g *Grid) List(r *Rung, number uint64, arrival time.Time) {
	r.last, r.listed = max(r.last, number), true
	if b := g.bound(number); b != nil && b.listed.IsZero() {
		b.listed = arrival
	}
}

// Overdue returns the number up to which a rung has not delivered what others have, a target duration after the first of them, and false if
// it owes nothing.
func (g *Grid) Overdue(r *Rung, now time.Time) (upTo uint64, ok bool) {
	if !r.joined || r.out != "" || !r.listed {
		return 0, false
	}
	wait := time.Duration(g.target) * time.Second
	upTo = r.last + 1
	for b := g.bound(upTo); b != nil && !b.listed.IsZero() && now.Sub(b.listed) > wait; b = g.bound(upTo) {
		upTo++
	}
	return upTo, upTo > r.last+1
}

// Declare puts a discontinuity into all rungs, at the first number that none has begun; open is the newest one begun by the rung that needs
// it.
func (g *Grid) Declare(open uint64) {
	if !g.breaksIn(open+1, g.newest+1) {
		g.mark(g.newest + 1)
	}
}

// BreakAtOnce makes a boundary with a discontinuity at a picture of a rung with an open segment, for all rungs, if none of them is past it;
// otherwise it declares one.
func (g *Grid) BreakAtOnce(r *Rung, u *cut.Unit, open uint64) {
	if b := g.find(u.At, tolerance(u)); b != nil && g.breaks[b.number] || r.out != "" {
		return
	}
	ahead := g.newest > open
	for _, o := range g.rungs {
		ahead = ahead || o != r && o.plays() && o.pace.at > u.At+tolerance(u)
	}
	if ahead {
		g.Declare(open)
		return
	}
	g.mark(open + 1)
	g.boundary(r, open+1, u, !u.Access)
}
