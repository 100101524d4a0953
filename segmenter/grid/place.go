package grid

import (
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// waitForPlace is how long a rung may be without a place on the grid before it is excluded.
const waitForPlace = 15 * time.Second

// lateKeys is how many keyframes in a row must be late for a rung to be excluded: a stall passes.
const lateKeys = 3

// lagSlack is by how much a lag must fall from keyframe to keyframe to count as shrinking.
const lagSlack = 100 * time.Millisecond

// Begin returns the number that begins at a keyframe of a rung without an open segment. If it returns false, the frame must be dropped and
// Begin called with the next keyframe. The first rung of all begins the recording. next is the first number that the rung's recording does
// not have. changed means that it continues with other tracks, not announced by a discontinuity yet.
func (g *Grid) Begin(r *Rung, u *cut.Unit, next uint64, changed bool) (cut.Segment, bool) {
	if r.out != "" {
		return cut.Segment{}, false
	}
	g.note(r, u)
	if u.Video && !u.Access && !u.Resumes {
		return cut.Segment{}, false
	}
	before := g.newest
	b := g.locate(r, u)
	if b != nil && changed && !g.breaksIn(next, b.number) {
		// A discontinuity is in all rungs or in none: it is put at a number that no rung has begun.
		if b.number > before {
			g.mark(b.number)
		} else {
			g.mark(g.newest + 1)
			b = nil
		}
	}
	if b != nil {
		g.lag(r, u, b)
	}
	if b == nil || b.number < next || r.pace.late > 0 && !r.listed {
		if r.out == "" {
			g.waiting(r, u.Frame.Arrival)
		}
		return cut.Segment{}, false
	}
	r.since, r.pace.fits = time.Time{}, u.Frame.Arrival
	return g.segment(r, b, u, u.Video && !u.Access), true
}

// note records what a picture says about the rung's pace, and learns from it.
func (g *Grid) note(r *Rung, u *cut.Unit) {
	if !u.Video {
		return
	}
	p := &r.pace
	p.at = u.At
	if u.Resumes {
		p.keys, p.steady = p.keys[:0], false
	}
	if !u.Access {
		return
	}
	p.key(u.At, tolerance(u))
	g.learn(r, tolerance(u))
}

// tolerance returns how far keyframes of one instant may be apart in two rungs, in ticks.
func tolerance(u *cut.Unit) int64 { return u.Duration * 3 / 2 }

// locate returns the boundary at a keyframe of a rung without an open segment, or makes it, or returns nil if there is none.
func (g *Grid) locate(r *Rung, u *cut.Unit) *bound {
	arrival := u.Frame.Arrival
	if g.any && g.restored && !g.fits(r) {
		return nil
	}
	switch {
	case !g.any:
		if !g.fits(r) {
			return nil
		}
		// After a restart there are numbers already, but nothing is known about their time base.
		next := g.NextNumber()
		if next > 0 {
			g.mark(next)
		}
		return g.epoch(r, next, u)
	case g.shares(u.At, arrival):
		if b := g.find(u.At, tolerance(u)); b != nil {
			return b
		}
		if steps, ok := g.due(u.At, tolerance(u), arrival, !g.others(r, arrival)); ok && (u.Video || g.sure || !g.pictures()) {
			return g.boundary(r, g.newest+uint64(steps), u, false)
		}
		if !u.Resumes || g.others(r, arrival) {
			return nil
		}
	case g.others(r, arrival):
		return nil
	}
	g.emit(Event{Kind: Restarted, Number: g.newest + 1})
	return g.epoch(r, g.newest+1, u)
}

// epoch begins a time base with the boundary of a number.
func (g *Grid) epoch(r *Rung, number uint64, u *cut.Unit) *bound {
	g.clock.Anchor(r.conn.Instant(u), g.notBefore(), u.At)
	g.begin(bound{number: number, at: u.At, wall: g.clock.At(u.At), arrival: u.Frame.Arrival, keyless: !u.Key, by: r})
	return g.bound(number)
}

// notBefore returns the end of what is listed, or about to be.
func (g *Grid) notBefore() time.Time {
	end := g.ladder.End()
	if b := g.bound(g.newest); b != nil {
		if going := b.wall.Add(cut.Duration(g.step)); going.After(end) {
			end = going
		}
	}
	return end
}

// boundary makes the boundary of a number. If the wall clock has drifted, it is set there, in all rungs.
func (g *Grid) boundary(r *Rung, number uint64, u *cut.Unit, keyless bool) *bound {
	if notBefore := g.bound(g.newest).wall.Add(time.Millisecond); g.clock.Drifted(u.Frame.Arrival, u.At, notBefore) {
		g.clock.Anchor(u.Frame.Arrival, notBefore, u.At)
		g.mark(number)
	}
	g.set(bound{number: number, at: u.At, wall: g.clock.At(u.At), arrival: u.Frame.Arrival, keyless: keyless, by: r})
	return g.bound(number)
}

// segment returns the segment that a rung begins at a boundary.
func (g *Grid) segment(r *Rung, b *bound, u *cut.Unit, keyless bool) cut.Segment {
	r.begun = b.number
	return cut.Segment{
		Number: b.number, Start: u.At, Boundary: u.Boundary, Wall: b.wall, Discontinuity: g.breaks[b.number], Keyless: keyless,
	}
}

// waiting excludes a rung that has found no place for too long.
func (g *Grid) waiting(r *Rung, now time.Time) {
	if r.since.IsZero() {
		r.since = now
	} else if now.Sub(r.since) > waitForPlace {
		g.exclude(r, "its keyframes or time stamps do not fit the other rungs': publish all rungs from one encoder, with one keyframe interval")
	}
}

// lag excludes a rung that steadily comes more than a target duration after the first: all its segments would be declared lost before they
// are complete.
func (g *Grid) lag(r *Rung, u *cut.Unit, b *bound) {
	limit := max(time.Duration(g.target)*time.Second, cut.Duration(g.wanted))
	lag := u.Frame.Arrival.Sub(b.arrival)
	catchesUp := lag < r.pace.lag-lagSlack // such as what a stalled uplink held back, or ffmpeg after its start
	r.pace.lag = lag
	switch {
	case lag <= limit:
		r.pace.late = 0
		return
	case catchesUp:
		r.pace.late = 0
	}
	if r.pace.late++; r.pace.late >= lateKeys || !r.listed && r.pace.late > 1 {
		g.exclude(r, fmt.Sprintf("it is sent %.1f s later than the other rungs, which is more than a segment lasts", lag.Seconds()))
	}
}
