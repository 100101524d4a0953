package grid

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// Grid is the common cut grid of a ladder: its boundaries, its wall clock, its target duration, and where each rung is.
// Whoever owns it locks it.
type Grid struct {
	bounds
	o      Options
	ladder Ladder
	rungs  []*Rung // best first

	clock    cut.Wallclock
	target   int  // seconds; 0 until the first segment is complete
	restored bool // the present recording was taken up after a restart

	events []Event
}

// Options are what a ladder is cut by.
type Options struct {
	Segment   time.Duration // the wanted duration of segments
	MaxTarget time.Duration // the longest target duration that learning may arrive at
	MaxDrift  time.Duration // of media time from the wall clock before that is corrected
}

// Ladder is what a grid asks of the ladder that it is of.
type Ladder interface {
	// Target returns the target duration of a rung's recording, seconds; 0: it has none yet.
	Target(r *Rung) int
	// End returns the wall time at which what the rungs list ends.
	End() time.Time
}

// EventKind says what became of the ladder.
type EventKind uint8

// What a decision may lead to beside a segment.
const (
	Excluded  EventKind = iota // a rung stands outside from now on
	Relearned                  // all rungs have another keyframe interval
	Restarted                  // the encoder's time stamps begin anew, with a discontinuity in all rungs
)

// Event is something that the ladder has to be told of.
type Event struct {
	Kind     EventKind
	Rung     *Rung         // of Excluded
	Interval time.Duration // of Relearned
	Number   uint64        // of Restarted: the number that begins with it
}

// New returns the grid of a ladder, whose rungs are named best first.
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

// Reset makes the grid ready for the ladder's next recording.
func (g *Grid) Reset() {
	g.bounds, g.target, g.restored = bounds{wanted: codec.Ticks(g.o.Segment)}, 0, false
	g.clock = cut.NewWallclock(g.o.MaxDrift)
	for _, r := range g.rungs {
		r.reset()
	}
}

// Restore says that the recording is taken up after a restart, with the target duration of one of its rungs, seconds.
func (g *Grid) Restore(target int) { g.target, g.restored = max(g.target, target), true }

// Restored reports whether the recording was taken up after a restart.
func (g *Grid) Restored() bool { return g.restored }

// Target returns the target duration, seconds; 0 where none is settled.
func (g *Grid) Target() int { return g.target }

// Take hands the events over. They are valid until the next call of any other method.
func (g *Grid) Take() []Event {
	e := g.events
	g.events = g.events[:0]
	return e
}

func (g *Grid) emit(e Event) { g.events = append(g.events, e) }

// exclude leaves a rung outside for the rest of the recording.
func (g *Grid) exclude(r *Rung, why string) {
	if r.out == "" {
		r.out = why
		g.emit(Event{Kind: Excluded, Rung: r})
	}
}

// Fix settles the target duration, seconds: the first segment that any rung lists, of some ticks, does so for all.
func (g *Grid) Fix(duration int64) int {
	if g.target == 0 {
		g.target = max(1, cut.RoundSeconds(g.wanted), cut.RoundSeconds(g.step), cut.RoundSeconds(duration))
		if g.sure {
			g.target = max(1, cut.RoundSeconds(g.step), cut.RoundSeconds(duration))
		}
	}
	return g.target
}

// NextNumber returns the number after all that any rung listed.
func (g *Grid) NextNumber() (n uint64) {
	for _, r := range g.rungs {
		if r.listed {
			n = max(n, r.last+1)
		}
	}
	return n
}

// Arrival returns when the newest boundary was reached; zero where there is none.
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

// Whole reports whether a segment of some ticks fills its place on the grid, to within a frame.
func (g *Grid) Whole(length int64) bool { return g.step == 0 || length+codec.Clock/15 >= g.step }

// Wall returns the PROGRAM-DATE-TIME of a number that is going to be listed, as all rungs have it; own, where it is not on
// the grid.
func (g *Grid) Wall(number uint64, own time.Time) time.Time {
	g.clock.Settle() // what is listed keeps its time
	if b := g.bound(number); b != nil {
		return b.wall
	}
	return own
}

// Gap returns what is known of a number whose bytes a rung does not have: its wall time, which is after where that is not
// known, its duration in ticks, and whether a discontinuity stands before it.
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

// List notes that a rung listed a number, whose newest frame came at an instant.
func (g *Grid) List(r *Rung, number uint64, arrival time.Time) {
	r.last, r.listed = max(r.last, number), true
	if b := g.bound(number); b != nil && b.listed.IsZero() {
		b.listed = arrival
	}
}

// Overdue returns the number up to which a rung did not deliver what others did, a target duration after the first of them;
// false where it owes nothing.
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

// Declare sets a discontinuity in all rungs, at the first number that none has begun; open is the newest that the rung did
// for which it is.
func (g *Grid) Declare(open uint64) {
	if !g.breaksIn(open+1, g.newest+1) {
		g.mark(g.newest + 1)
	}
}

// BreakAtOnce makes a boundary with a discontinuity at a picture of a rung with an open segment, for all rungs, where none
// of them is past it; else one is declared.
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
