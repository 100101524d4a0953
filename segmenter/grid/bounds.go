package grid

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// bounds are the boundaries of a ladder: which media time begins which number. They are recorded as the first rung that
// reaches them has them, and the others are held against the record, so that time stamps in rounded milliseconds never add
// up to a drift. All rungs share one time base; an epoch is a stretch of it.
type bounds struct {
	wanted int64 // the wanted duration of segments, ticks
	step   int64 // between boundaries, ticks; 0 until the first keyframe interval is known
	sure   bool  // two intervals in a row agreed on it
	phase  int64 // presentation time of the newest boundary that a keyframe made: the others lie multiples of step from it
	phased bool  // phase is one

	record [memory]bound   // by number modulo memory
	first  uint64          // the first number of the epoch
	newest uint64          // the newest number with a boundary
	any    bool            // there is an epoch
	breaks map[uint64]bool // numbers that begin with a discontinuity
}

// memory is how many boundaries are remembered; a rung that lags further behind is out of step.
const memory = 64

// bound is the beginning of one number.
type bound struct {
	number  uint64
	at      int64     // presentation time of its keyframe, ticks
	wall    time.Time // PROGRAM-DATE-TIME
	arrival time.Time // of that keyframe with the first rung
	listed  time.Time // when the first rung listed the segment; zero: none did
	keyless bool      // no rung had a keyframe where one was due
	by      *Rung     // that made it
}

func (g *bounds) bound(number uint64) *bound {
	b := &g.record[number%memory]
	if !g.any || b.number != number || number > g.newest {
		return nil
	}
	return b
}

func (g *bounds) set(b bound) {
	g.record[b.number%memory] = b
	g.newest = b.number
	if !b.keyless {
		g.phase, g.phased = b.at, true
	}
}

// begin opens an epoch at a number. Where it is not the first, it begins with a discontinuity.
func (g *bounds) begin(b bound) {
	if g.any {
		g.mark(b.number)
	}
	g.any, g.first = true, b.number
	g.set(b)
}

// mark puts a discontinuity before a number.
func (g *bounds) mark(number uint64) {
	if g.breaks == nil {
		g.breaks = map[uint64]bool{}
	}
	g.breaks[number] = true
	for n := range g.breaks {
		if n+memory < g.newest {
			delete(g.breaks, n)
		}
	}
}

// breaksIn reports whether a discontinuity stands at one of the numbers from first to last: a rung that comes back after it
// has it among its gaps, and needs no other.
func (g *bounds) breaksIn(first, last uint64) bool {
	for n := range g.breaks {
		if first <= n && n <= last {
			return true
		}
	}
	return false
}

// shares reports whether a keyframe is on the epoch's time base: what lies between it and the newest boundary in media time
// lies between their arrivals, too, give or take what a network may delay.
func (g *bounds) shares(at int64, arrival time.Time) bool {
	b := g.bound(g.newest)
	off := arrival.Sub(b.arrival) - cut.Duration(at-b.at)
	return -baseTolerance < off && off < baseTolerance
}

// baseTolerance is how far apart the rungs of one encoder may arrive.
const baseTolerance = 10 * time.Second

// find finds the boundary at an instant of media, to within a tolerance.
func (g *bounds) find(at, tolerance int64) *bound {
	for n := g.newest; ; n-- {
		b := g.bound(n)
		if b == nil {
			return nil
		}
		if off := at - b.at; off > tolerance {
			return nil
		} else if off >= -tolerance {
			return b
		}
		if n == g.first {
			return nil
		}
	}
}

// due reports whether a keyframe beyond the newest boundary makes a new one, and how many numbers further on it is. Until
// the keyframe interval is sure, the wanted duration says so as well. alone says that no other rung could know better.
func (g *bounds) due(at, tolerance int64, arrival time.Time, alone bool) (steps int64, ok bool) {
	b := g.bound(g.newest)
	off := at - b.at
	if off <= tolerance || cut.Duration(off)-arrival.Sub(b.arrival) > baseTolerance {
		return 0, false // the last: of another time base, whose distance would be filled with numbers
	}
	if g.step > 0 && g.phased {
		from := at - g.phase
		all := (from + g.step/2) / g.step
		if d := from - all*g.step; d < -tolerance || d > tolerance {
			all = 0
		}
		if steps = all - (b.at-g.phase)/g.step; all > 0 && steps > 0 {
			return steps, true
		}
	}
	least := g.wanted
	switch {
	case g.sure && g.phased && !(alone && off > g.step):
		return 0, false
	case g.sure:
		least = g.step
	}
	if off < least-tolerance {
		return 0, false
	}
	if g.step > 0 {
		return max(1, off/g.step), true
	}
	return max(1, off/max(g.wanted, 1)), true
}

// multiple is the multiple of a keyframe interval that comes closest to the wanted duration.
func (g *bounds) multiple(interval int64) int64 {
	return interval * max(1, (g.wanted+interval/2)/interval)
}

// learn takes a keyframe interval, and whether the one before it was as long, as all that is known or of all rungs.
func (g *bounds) learn(interval int64, steady bool) {
	if interval > 0 && (!g.sure || steady) {
		if g.sure {
			g.phased = false // where the new grid lies says the next keyframe
		}
		g.step, g.sure = g.multiple(interval), steady
	}
}

// revoke takes the boundaries behind a number back, which most rungs do not have.
func (g *bounds) revoke(number uint64) {
	g.newest = number
	if b := g.bound(number); b != nil {
		g.phase, g.phased = b.at, !b.keyless
	}
}

// trim moves the wall time of the epoch's boundaries back, none of which is listed yet.
func (g *bounds) trim(back time.Duration) {
	for n := g.first; n <= g.newest; n++ {
		if b := g.bound(n); b != nil {
			b.wall = b.wall.Add(-back)
		}
	}
}
