package segmenter

import (
	"fmt"

	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// What the rungs of a ladder have to agree on is decided by most of them: one odd rung must move nobody else's cuts.

// learn teaches the grid the keyframe interval of a rung. What it knows for sure it gives up only where all rungs agree.
func (l *presentation) learn(m *rung, tolerance int64) {
	p := &m.pace
	interval := p.interval()
	if interval == 0 || l.disagrees(m, tolerance) {
		return
	}
	if l.grid.sure {
		if closeTo(l.grid.multiple(interval), l.grid.step, tolerance) || !p.steady {
			return
		}
		for _, o := range l.rungs {
			if o != m && o.on && o.out == "" && !(o.pace.steady && closeTo(o.pace.interval(), interval, tolerance)) {
				return
			}
		}
		l.log.Info("all rungs have another keyframe interval", "seconds", cut.Duration(interval).Seconds())
	}
	l.grid.learn(interval, p.steady)
}

// disagrees reports whether more of the other rungs have their keyframes elsewhere than where a rung has them; of as many,
// the better rung is believed.
func (l *presentation) disagrees(m *rung, tolerance int64) bool {
	votes, better := -1, false // its own
	before := true
	for _, name := range l.names {
		o := l.rungs[name]
		if o == m {
			before = false
			continue
		}
		if !o.on || o.out != "" || o.pace.fits.IsZero() {
			continue
		}
		if m.pace.differs(&o.pace, tolerance) || o.pace.differs(&m.pace, tolerance) {
			votes, better = votes+1, better || before
		} else {
			votes--
		}
	}
	return votes > 0 || votes == 0 && better
}

// misled reports whether a boundary that a rung passes without a keyframe was made by one that most others disagree with,
// and nobody else has begun it. Then that one stands outside, and the boundary is taken back.
func (l *presentation) misled(m *rung, b *bound, tolerance int64) bool {
	if b.by == nil || b.by == m || b.by.out != "" || !l.disagrees(b.by, tolerance) || l.disagrees(m, tolerance) {
		return false
	}
	for _, o := range l.rungs {
		if o != b.by && o.begun >= b.number {
			return false
		}
	}
	return true
}

// fits settles the target duration after a restart, which most of the rungs have, and reports whether a rung has it. One
// that stood outside may have learned another.
func (l *presentation) fits(m *rung) bool {
	votes := map[int]int{}
	most := 0
	for _, name := range l.names {
		if c := l.rungs[name].c; c != nil {
			if td := c.t.Snapshot().TargetDuration; td > 0 {
				if votes[td]++; votes[td] > votes[most] {
					most = td
				}
			}
		}
	}
	if most > 0 {
		l.target = most
	}
	own := m.c.t.Snapshot().TargetDuration
	if own > 0 && own != l.target {
		l.exclude(m, fmt.Sprintf("its segments last up to %d s, those of the other rungs up to %d s", own, l.target))
		return false
	}
	return true
}
