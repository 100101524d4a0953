package segmenter

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// companion is the keeper of a ladder's audio-only variant: a recording without a publisher, written by a second packager
// that is given the events of the ladder's first rung. So it is cut where that rung is cut, with the same numbers, wall time
// and discontinuities. Its Timeline.mu is taken while that of the rung is held; see ladder. A nil companion takes events
// and does nothing.
type companion struct {
	t    *Timeline
	pack packager
	rows log
	grid rungLog
	ends time.Time
}

func newCompanion(t *Timeline, r *Registry, o *AppOptions, begun time.Time) *companion {
	c := &companion{t: t, rows: newLog(t, r, o, begun)}
	c.pack = packager{pool: r.o.Pool, stats: &r.stats, sink: &c.grid, sound: true, parts: o.LowLatency}
	t.keeper, t.rows, t.pack = c, &c.rows, &c.pack
	return c
}

// lead says which rung the companion is made from.
func (c *companion) lead(m *rung) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	c.grid = rungLog{log: &c.rows, rung: m, quiet: true, held: c.grid.held}
}

// take consumes an event of the rung.
func (c *companion) take(e *cut.Event) {
	if c == nil || e.Kind == cut.EventUnit && e.Unit.Video {
		return
	}
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.rows.state == Ended {
		return
	}
	if e.Kind == cut.EventUnit {
		c.rows.lastFrame = e.Unit.Frame.Arrival
	}
	c.pack.take(e)
}

// cutOff ends the segment in hand because the rung leaves the ladder.
func (c *companion) cutOff(open cut.Segment, end int64) {
	if c == nil {
		return
	}
	c.take(&cut.Event{Kind: cut.EventClose, Segment: open, End: end, Target: c.rows.target, CutOff: true, PartTarget: c.rows.partTarget})
	c.stall()
}

// stall shows that the rung has lost its publisher.
func (c *companion) stall() {
	if c == nil {
		return
	}
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	c.rows.stall()
}

// awaited reports whether anybody waits for its next part. It comes with those of the rung that it is made from.
func (c *companion) awaited() bool { return c != nil && c.t.Snapshot().awaited() }

// expire implements keeper. The ladder's last rung ends the companion.
func (c *companion) expire(now time.Time) bool {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	return c.rows.state == Ended && c.rows.forget(now, c.ends)
}

// stop implements keeper.
func (c *companion) stop(now time.Time, hold bool) {
	if c == nil {
		return
	}
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.rows.state == Ended {
		return
	}
	c.grid.settle(true)
	if hold {
		return
	}
	c.ends = now.Add(c.rows.o.EndedTTL)
	c.rows.conclude(now)
}

// yield implements keeper. The rung has been let go of before.
func (c *companion) yield(now time.Time) bool {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if !c.rows.yield() {
		return false
	}
	c.ends = now.Add(restoredTTL)
	c.rows.snapshot()
	return true
}
