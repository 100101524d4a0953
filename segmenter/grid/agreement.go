package grid

import (
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// The majority of a ladder's rungs decides what they have to agree on: one odd rung must not move the cuts of the others.

// learn teaches the grid the keyframe interval of a rung. It gives up what is certain only if all rungs agree.
func (g *Grid) learn(r *Rung, tolerance int64) {
	interval := r.pace.interval()
	if interval == 0 || g.disagrees(r, tolerance) {
		return
	}
	if g.sure {
		if closeTo(g.multiple(interval), g.step, tolerance) || !r.pace.steady {
			return
		}
		for _, o := range g.rungs {
			if o != r && o.plays() && !(o.pace.steady && closeTo(o.pace.interval(), interval, tolerance)) {
				return
			}
		}
		g.emit(Event{Kind: Relearned, Interval: cut.Duration(interval)})
	}
	g.bounds.learn(interval, r.pace.steady)
}

// disagrees reports whether most of the other rungs have their keyframes elsewhere than a rung has; with as many on each side, the better
// rung is believed.
func (g *Grid) disagrees(r *Rung, tolerance int64) bool {
	votes, better := -1, false // its own
	before := true
	for _, o := range g.rungs {
		if o == r {
			before = false
			continue
		}
		if !o.plays() || o.pace.fits.IsZero() {
			continue
		}
		if r.pace.differs(&o.pace, tolerance) || o.pace.differs(&r.pace, tolerance) {
			votes, better = votes+1, better || before
		} else {
			votes--
		}
	}
	return votes > 0 || votes == 0 && better
}

// misled reports whether a boundary that a rung passes without a keyframe was made by a rung with which most others disagree, and nobody
// else has begun it. Then that rung is excluded, and the boundary is withdrawn.
func (g *Grid) misled(r *Rung, b *bound, tolerance int64) bool {
	if b.by == nil || b.by == r || b.by.out != "" || !g.disagrees(b.by, tolerance) || g.disagrees(r, tolerance) {
		return false
	}
	for _, o := range g.rungs {
		if o != b.by && o.begun >= b.number {
			return false
		}
	}
	return true
}

// fits sets the target duration after a restart, from the majority of the rungs, and reports whether a rung has it. One that was excluded
// may have learned another.
func (g *Grid) fits(r *Rung) bool {
	votes := map[int]int{}
	most := 0
	for _, o := range g.rungs {
		if td := g.ladder.Target(o); td > 0 {
			if votes[td]++; votes[td] > votes[most] {
				most = td
			}
		}
	}
	if most > 0 {
		g.target = most
	}
	own := g.ladder.Target(r)
	if own > 0 && own != g.target {
		g.exclude(r, fmt.Sprintf("its segments last up to %d s, those of the other rungs up to %d s", own, g.target))
		return false
	}
	return true
}

// others reports whether a rung other than r continues the epoch.
func (g *Grid) others(r *Rung, now time.Time) bool {
	step := g.step
	if step == 0 {
		step = codec.Ticks(g.o.MaxTarget) // they have not sent their second keyframe
	}
	for _, o := range g.rungs {
		if o != r && o.joined && o.plays() && o.since.IsZero() && !o.pace.fits.IsZero() && now.Sub(o.pace.fits) < cut.Duration(max(step, codec.Clock))+time.Second {
			return true
		}
	}
	return false
}

// pictures reports whether any rung sends pictures.
func (g *Grid) pictures() bool {
	for _, o := range g.rungs {
		if o.plays() && len(o.pace.keys) > 0 {
			return true
		}
	}
	return false
}
