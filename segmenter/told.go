package segmenter

import (
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/pair"
)

// edges is what a recording remembers for servers that stand by. Guarded by Timeline.mu.
type edges struct {
	all   pair.Boundaries
	state cut.State // before the picture in hand
	ready bool      // it is one to begin with
	asked time.Time // when a server that stands by was last in step with it
}

// expect notes the state before a picture with which a segment may begin. steady is what it was before the picture.
func (c *recording) expect(steady *cut.Steady) {
	c.edges.state, c.edges.ready = cut.Capture(steady, &c.line, &c.cutter, &c.solo, &c.parts)
	c.edges.ready = c.edges.ready && c.gains == nil && !c.lobby.HasSound() && c.pack.tags.Len() == 0
}

// edge notes that a segment begins, before its first packet is written.
func (c *recording) edge(e *cut.Event) {
	g, p := &e.Segment, &c.pack
	if !c.edges.ready || !c.unit.Video || g.Number != c.edges.state.Open.Number+1 || !g.Independent || g.Discontinuity || p.mux == nil || !e.Tracks.Same(p.tracks) {
		return
	}
	c.edges.ready = false
	c.edges.all.Add(pair.Boundary{
		Number: g.Number, At: c.unit.Frame.DTS, Shown: c.unit.Frame.PTS - c.unit.Frame.DTS, Mark: pair.Mark(c.unit.Frame.Units), Program: pair.Program(e.Tracks.Video, e.Tracks.Audio),
		Metadata: p.announced, State: c.edges.state, Muxer: p.mux.State(),
	})
}

// settings are what two servers must have alike to make the same segments.
func (o *AppOptions) settings() string {
	return fmt.Sprintf("segment_duration %v, target_duration %v, low_latency %v, part_duration %v", o.SegmentDuration, o.TargetDuration, o.LowLatency, o.parts())
}

// Report is what a server that stands by is told of a stream; false where no recording of it is under way. step says that this server was in
// step with what the one before told.
func (r *Registry) Report(k Key, step bool) (pair.Report, bool) {
	t := r.current(k)
	if t == nil || t.yielded.Load() {
		return pair.Report{}, false
	}
	c, ok := t.keeper.(*recording)
	if !ok {
		return pair.Report{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.rows.state == Ended {
		return pair.Report{}, false
	}
	l := &c.rows
	if step {
		c.edges.asked = r.o.Now()
		c.hand(c.edges.asked)
	}
	p := pair.Report{
		Recording: string(t.id), Even: c.even, Settings: c.o.settings(), TargetDuration: l.target, PartTarget: l.partTarget,
		Listed: l.table.base + uint64(l.table.shown()), Boundaries: append(pair.Boundaries(nil), c.edges.all...),
	}
	rows := l.table.rows
	for i := max(0, len(rows)-pair.MaxRows); i < len(rows); i++ {
		p.Rows = append(p.Rows, told(&rows[i]))
	}
	return p, true
}

func told(e *Row) pair.Row {
	return pair.Row{Number: e.Sequence, Start: e.Start, Duration: e.Duration, Size: e.Size, CRC32C: e.CRC32C, Discontinuity: e.Discontinuity, Gap: e.Gap}
}

// Deterministic reports whether a stream that is published now is made so that another server can make the same.
func (r *Registry) Deterministic(k Key) bool {
	app, ok := r.app(k.App)
	if !ok || !app.Deterministic {
		return false
	}
	_, rung := r.LadderOf(k)
	return !rung
}

// stepFor is how long a server that stands by counts as being in step after it has said so.
const stepFor = 3 * time.Second

// handed reports whether a server that stands by is about to finish the segment in hand. Where there are parts, viewers have had some of it.
func (c *recording) handed(now time.Time) bool {
	return c.even && !c.parts.On() && !c.edges.asked.IsZero() && now.Sub(c.edges.asked) < stepFor
}

// hand notes whether it is.
func (c *recording) hand(now time.Time) {
	if handed := c.handed(now); handed != c.rows.handed {
		c.rows.handed = handed
		c.rows.snapshot()
	}
}
