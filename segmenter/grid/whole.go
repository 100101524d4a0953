package grid

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// Place returns the number of a segment that came whole, and begins with u: its sender cut it, and the boundary is where he put it. broken says
// that it does not go on from the one before, fresh that there is none that it could go on from. It returns false if there is no place for it: its number has passed, or it is from another time
// base than the others. next is as in Begin.
func (g *Grid) Place(r *Rung, u *cut.Unit, next uint64, broken, fresh bool) (cut.Segment, bool) {
	if r.out != "" {
		return cut.Segment{}, false
	}
	r.pace.at = u.At
	b, ok := g.spot(r, u, next, broken, fresh)
	if !ok {
		g.waiting(r, u.Frame.Arrival)
		return cut.Segment{}, false
	}
	r.since, r.pace.fits = time.Time{}, u.Frame.Arrival
	return g.segment(r, b, u, false), true
}

// spot finds the boundary of a segment that came whole, or makes it.
func (g *Grid) spot(r *Rung, u *cut.Unit, next uint64, broken, fresh bool) (b *bound, ok bool) {
	switch {
	case (!g.any || g.restored) && !g.fits(r):
		return nil, false
	case !g.any:
		n := g.NextNumber()
		if n > 0 { // after a restart: see locate
			g.mark(n)
		}
		return g.epoch(r, n, u), true
	}
	newest := g.bound(g.newest)
	far := u.At - newest.at
	if b = g.find(u.At, tolerance(u)); b != nil && b.number >= next {
		return b, true
	}
	switch {
	case b == nil && (!broken || fresh) && far > 0 && cut.Duration(far) < baseTolerance:
		if g.step == 0 {
			g.step = far
		}
		return g.boundary(r, g.newest+1, u, false), true
	case broken || far > 0 || cut.Duration(-far) > baseTolerance:
		g.emit(Event{Kind: Restarted, Number: g.newest + 1})
		return g.epoch(r, g.newest+1, u), true
	}
	return nil, false
}
