package segmenter

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
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

// multivariant is the keeper of a ladder's own timeline: a state and multivariant playlists, and no segments.
type multivariant struct {
	t *Timeline
	o *AppOptions
	r *Registry

	state      State
	generation uint64
	target     int // seconds
	modified   time.Time
	ends       time.Time // when an ended one is forgotten
	entry      *Playlist
	archive    *archive
}

func newMultivariant(r *Registry, key Key, id RecordingID, o *AppOptions, begun time.Time) *multivariant {
	m := &multivariant{
		t: &Timeline{key: key, id: id}, o: o, r: r, modified: begun, archive: &archive{r: &r.renderer},
	}
	m.t.keeper = m
	r.stats.Recordings.Add(1)
	m.snapshot()
	return m
}

// update takes new playlists: that of what plays now, and that of the whole recording. What did not change keeps its ETag
// and date. fed tells whether a rung has input: that a gap was listed does not make a stalled ladder live.
func (m *multivariant) update(live, whole []byte, target int, at time.Time, fed bool) {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if m.state == Ended {
		return
	}
	if at.IsZero() {
		at = m.modified
	}
	entry, all := m.r.renderer.finish(live, at), m.r.renderer.finish(whole, at)
	state := Live
	if m.state == Stalled && !fed {
		state = Stalled
	}
	if m.state == state && m.entry != nil && entry.ETag == m.entry.ETag && all.ETag == m.archive.last.ETag {
		return
	}
	m.state, m.entry, m.archive = state, entry, &archive{fixed: true, last: all}
	m.target, m.modified = target, at
	m.snapshot()
}

// stall shows that no rung has input.
func (m *multivariant) stall() {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if m.state == Live {
		m.state = Stalled
		m.snapshot()
	}
}

// expire implements keeper. The ladder ends its timeline.
func (m *multivariant) expire(now time.Time) bool {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	return m.state == Ended && !now.Before(m.ends)
}

// stop implements keeper.
func (m *multivariant) stop(now time.Time, hold bool) {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if hold || m.state == Ended {
		return
	}
	m.state, m.modified, m.ends = Ended, now, now.Add(m.o.EndedTTL)
	m.r.stats.Recordings.Add(-1)
	m.snapshot()
}

// yield implements keeper. What belongs to the ladder has been let go of before.
func (m *multivariant) yield(now time.Time) bool {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if m.state == Ended {
		return false
	}
	m.t.yielded.Store(true)
	m.state, m.ends = Ended, now.Add(restoredTTL)
	m.r.stats.Recordings.Add(-1)
	m.snapshot()
	return true
}

func (m *multivariant) snapshot() {
	m.generation++
	m.t.publish(&Snapshot{
		Key: m.t.key, Recording: m.t.id, Generation: m.generation, State: m.state, TargetDuration: m.target,
		Yielded: m.t.yielded.Load(), Modified: m.modified, LastFrame: m.modified, Entry: m.entry, ArchiveName: m.t.id, archive: m.archive,
		PartTarget: codec.Ticks(m.o.parts()),
	})
}
