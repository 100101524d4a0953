package grid

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// bounds are the boundaries of a ladder: which media time begins which number. They are recorded as the first rung that reaches them has
// them, and the others are compared with the record, so that rounded timestamps never add up to a drift. All rungs share one time base; an
// epoch is a stretch of it.
type bounds struct {
	wanted int64 // the wanted duration of segments, ticks
	step   int64 // between boundaries, ticks; 0 until the first keyframe interval is known
	sure   bool  // two intervals in a row agreed on it
	phase  int64 // presentation time of the newest boundary made by a keyframe: the others are multiples of step from it
	phased bool  // phase is valid

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
	by      *Rung     // the rung that made it
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

// begin opens an epoch at a number. Unless it is the first, it begins with a discontinuity.
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

// breaksIn reports whether there is a discontinuity at one of the numbers from first to last: a rung that returns after it has it among its
// gaps, and needs no other.
func (g *bounds) breaksIn(first, last uint64) bool {
	for n := range g.breaks {
		if first <= n && n <= last {
			return true
		}
	}
	return false
}

// shares reports whether a keyframe is on the epoch's time base: its distance from the newest boundary is the same in media time and in
// arrival, give or take network delays.
func (g *bounds) shares(at int64, arrival time.Time) bool {
	b := g.bound(g.newest)
	off := arrival.Sub(b.arrival) - cut.Duration(at-b.at)
	return -baseTolerance < off && off < baseTolerance
}

// baseTolerance is how far apart the rungs of one encoder may arrive.
const baseTolerance = 10 * time.Second

// find returns the boundary at a media instant, to within a tolerance.
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

// due reports whether a keyframe after the newest boundary makes a new one, and how many numbers later. Until the keyframe interval is
// certain, the wanted duration decides as well. alone means that no other rung could know better.
func (g *bounds) due(at, tolerance int64, arrival time.Time, alone bool) (steps int64, ok bool) {
	b := g.bound(g.newest)
	off := at - b.at
	if off <= tolerance || cut.Duration(off)-arrival.Sub(b.arrival) > baseTolerance {
		return 0, false // the last: from another time base, whose distance would be filled with numbers
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

// multiple returns the multiple of a keyframe interval that is closest to the wanted duration.
func (g *bounds) multiple(interval int64) int64 {
	return interval * max(1, (g.wanted+interval/2)/interval)
}

// learn takes a keyframe interval, and whether it is certain, as the interval of all rungs.
func (g *bounds) learn(interval int64, steady bool) {
	if interval > 0 && (!g.sure || steady) {
		if g.sure {
			g.phased = false // the next keyframe shows where the new grid lies
		}
		g.step, g.sure = g.multiple(interval), steady
	}
}

// revoke withdraws the boundaries after a number, which most rungs do not have.
func (g *bounds) revoke(number uint64) {
	g.newest = number
	if b := g.bound(number); b != nil {
		g.phase, g.phased = b.at, !b.keyless
	}
}

// trim moves back the wall time of the epoch's boundaries, none of which is listed yet.
func (g *bounds) trim(back time.Duration) {
	for n := g.first; n <= g.newest; n++ {
		if b := g.bound(n); b != nil {
			b.wall = b.wall.Add(-back)
		}
	}
}
