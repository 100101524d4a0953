package grid

import (
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// Cut returns the number that begins at a unit of a rung with an open segment, and false if none does.
func (g *Grid) Cut(r *Rung, u *cut.Unit, open *cut.Segment) (cut.Segment, bool) {
	if r.out != "" {
		return cut.Segment{}, false
	}
	g.note(r, u)
	if !g.any {
		return cut.Segment{}, false
	}
	if back := g.clock.Observe(u.Frame.Arrival, u.At); back > 0 {
		g.trim(back)
	}
	b := g.find(u.At, tolerance(u))
	if b != nil && b.number > open.Number && (u.Access && !u.Silent || !u.Video && !u.Silent || b.keyless) {
		g.lag(r, u, b)
		r.pace.fits = u.Frame.Arrival
		return g.segment(r, b, u, u.Video && !u.Access), true
	}
	if u.Silent { // the picture stands still: follow the others
		if b = g.bound(open.Number + 1); b != nil && u.At >= b.at {
			return g.still(r, b, u), true
		}
	} else if b == nil && u.Key && g.newest == open.Number {
		if g.makes(r, u, open) {
			r.pace.fits = u.Frame.Arrival
			return g.segment(r, g.boundary(r, open.Number+1, u, false), u, false), true
		}
	}
	return g.overdue(r, u, open)
}

// makes reports whether a rung makes a new boundary at its keyframe. Audio can be cut anywhere: the pictures of the other rungs decide.
func (g *Grid) makes(r *Rung, u *cut.Unit, open *cut.Segment) bool {
	if !u.Video && !g.sure && g.pictures() {
		return false
	}
	_, ok := g.due(u.At, tolerance(u), u.Frame.Arrival, !g.others(r, u.Frame.Arrival))
	if !u.Video || ok && g.sure {
		return ok
	}
	if g.disagrees(r, tolerance(u)) {
		return false
	}
	if ok {
		return true
	}
	// All of them have left the grid: then the rule for a single stream says which keyframe is the last that fits.
	elapsed, target := u.At-open.Start, g.target
	if target == 0 {
		target = max(1, cut.RoundSeconds(g.wanted), cut.RoundSeconds(g.step))
	}
	return elapsed >= g.wanted || elapsed >= g.wanted/2 && cut.RoundSeconds(elapsed+r.pace.longest()) > target
}

// still returns a segment that begins at the others' boundary while the picture of this rung stands still.
func (g *Grid) still(r *Rung, b *bound, u *cut.Unit) cut.Segment {
	s := g.segment(r, b, u, true)
	s.Start, s.Boundary = b.at, b.at-(u.At-u.Boundary)
	return s
}

// overdue ends a segment that should have been cut by now. If the others had a keyframe, the rung is excluded; if none had one, all are cut
// without.
func (g *Grid) overdue(r *Rung, u *cut.Unit, open *cut.Segment) (cut.Segment, bool) {
	const elsewhere = "it has no keyframe where the other rungs have theirs: set the same fixed keyframe interval for all"
	if b := g.bound(open.Number + 1); b != nil {
		if u.At-b.at <= 4*u.Duration {
			return cut.Segment{}, false // the others may be no further than this
		}
		if !g.misled(r, b, tolerance(u)) {
			g.exclude(r, elsewhere)
			return cut.Segment{}, false
		}
		g.exclude(b.by, elsewhere)
		g.revoke(open.Number)
	}
	limit := cut.Longest(max(cut.RoundSeconds(codec.Ticks(g.o.MaxTarget)), 1))
	if g.target > 0 {
		limit = cut.Longest(g.target)
	}
	if u.At-open.Start+u.Duration+min(u.Duration/2, cut.Unevenness) <= limit {
		return cut.Segment{}, false
	}
	if g.disagrees(r, tolerance(u)) {
		g.exclude(r, elsewhere)
		return cut.Segment{}, false
	}
	b := g.boundary(r, open.Number+1, u, true)
	if u.Silent {
		return g.still(r, b, u), true
	}
	return g.segment(r, b, u, true), true
}
