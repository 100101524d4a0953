package segmenter

import "time"

// grid is the common cut grid of a ladder: which media time begins which number. Boundaries are recorded as the first
// rung that reaches them has them, and the others are held against the record, so that time stamps in rounded
// milliseconds never add up to a drift. All rungs share one time base; an epoch is a stretch of it.
type grid struct {
	step    int64 // ticks between boundaries; 0 until the first keyframe interval is known
	segment int64 // the wanted duration, ticks

	bounds [gridMemory]bound // by number modulo gridMemory
	first  uint64            // the first number of the epoch
	newest uint64            // the newest number with a boundary
	any    bool              // there is an epoch
	breaks map[uint64]bool   // numbers that begin with a discontinuity
}

// gridMemory is how many boundaries are remembered; a rung that lags further behind is out of step.
const gridMemory = 64

// bound is the beginning of one number.
type bound struct {
	number  uint64
	at      int64     // presentation time of its keyframe, ticks
	wall    time.Time // PROGRAM-DATE-TIME
	arrival time.Time // of that keyframe with the first rung
	listed  time.Time // when the first rung listed the segment; zero: none did
}

func (g *grid) bound(number uint64) *bound {
	b := &g.bounds[number%gridMemory]
	if !g.any || b.number != number || number > g.newest {
		return nil
	}
	return b
}

func (g *grid) set(number uint64, at int64, wall, arrival time.Time) {
	g.bounds[number%gridMemory] = bound{number: number, at: at, wall: wall, arrival: arrival}
	g.newest = number
}

// begin opens an epoch at a number. Where it is not the first, it begins with a discontinuity.
func (g *grid) begin(number uint64, at int64, wall, arrival time.Time) {
	if g.breaks == nil {
		g.breaks = map[uint64]bool{}
	}
	if g.any {
		g.breaks[number] = true
	}
	g.any, g.first = true, number
	g.set(number, at, wall, arrival)
}

// breaksIn tells whether a discontinuity stands at one of the numbers from first to last: a rung that comes back after it
// has it among its gaps, and needs no other.
func (g *grid) breaksIn(first, last uint64) bool {
	for n := range g.breaks {
		if first <= n && n <= last {
			return true
		}
	}
	return false
}

// shares tells whether a keyframe is on the epoch's time base: what lies between it and the newest boundary in media time
// lies between their arrivals, too, give or take what a network may delay.
func (g *grid) shares(at int64, arrival time.Time) bool {
	b := g.bound(g.newest)
	off := arrival.Sub(b.arrival) - duration(at-b.at)
	return -baseTolerance < off && off < baseTolerance
}

// baseTolerance is how far apart the rungs of one encoder may arrive.
const baseTolerance = 10 * time.Second

// number finds the number that begins at a keyframe, to within a tolerance. A keyframe beyond the newest boundary makes a
// new one where it is due.
func (g *grid) number(at, tolerance int64, arrival time.Time) (number uint64, ok bool) {
	for n := g.newest; ; n-- {
		b := g.bound(n)
		if b == nil {
			return 0, false
		}
		if off := at - b.at; off > tolerance {
			if n != g.newest || g.step == 0 || duration(off)-arrival.Sub(b.arrival) > baseTolerance {
				return 0, false // the last: of another time base, whose distance would be filled with numbers
			}
			steps := (off + g.step/2) / g.step
			if off = off - steps*g.step; steps == 0 || off > tolerance || off < -tolerance {
				return 0, false
			}
			number = n + uint64(steps)
			g.set(number, at, b.wall.Add(duration(at-b.at)), arrival)
			return number, true
		} else if off >= -tolerance {
			return n, true
		}
		if n == g.first {
			return 0, false
		}
	}
}

// learn takes the first keyframe interval seen: the grid is the multiple of it that comes closest to the wanted duration.
func (g *grid) learn(interval int64) {
	if g.step == 0 && interval > 0 {
		g.step = interval * max(1, (g.segment+interval/2)/interval)
	}
}
