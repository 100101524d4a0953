package segmenter

import (
	"errors"
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/intake"
)

// recording is the keeper of a stream's timeline: it carries the frames of whoever publishes the stream through line, cutter
// and packager to the log. Guarded by Timeline.mu.
type recording struct {
	t   *Timeline
	o   *AppOptions
	log *slog.Logger

	line   cut.Line
	cutter cut.Cutter
	parts  cut.Parts
	solo   cut.Solo
	pack   packager
	rows   log

	admission
	even   bool       // what is made of frames does not depend on when they come: AppOptions.Deterministic
	steady cut.Steady // where even
	edges  edges      // the same
	owner  *session
	left   bool      // its publisher went in the middle of a segment that a server which stands by may finish
	ends   time.Time // when a recording without a publisher ends; when an ended one is forgotten
	unit   cut.Unit  // the one in hand
	warned bool      // about cuts without a keyframe

	rung      *rung // its place in a ladder; nil: a stream on its own
	grid      rungLog
	companion *companion // the ladder's audio-only variant, if this is the rung that it is made from
}

// stalledAfter is the silence after which a publisher that is still connected counts as stalled.
const stalledAfter = 3 * time.Second

// errSplit says that the session has to go on in another recording: no browser could play one that gains a track from its
// start.
var errSplit = errors.New("another set of tracks begins another recording")

func newRecording(t *Timeline, r *Registry, o *AppOptions, begun time.Time) *recording {
	c := &recording{
		t: t, o: o, log: r.o.Log.With("stream", t.key.String(), "recording", string(t.id)), rows: newLog(t, r, o, begun),
	}
	c.line = cut.NewLine(codec.Ticks(o.SegmentDuration))
	c.solo = cut.NewSolo(cut.SoloOptions{Segment: o.SegmentDuration, Target: o.TargetDuration, MaxTarget: o.MaxTargetDuration, MaxDrift: o.PDTMaxDrift})
	c.cutter = cut.NewCutter(&c.solo, c.solo.Longest())
	c.parts = cut.NewParts(o.parts(), 0)
	c.pack = packager{pool: r.o.Pool, stats: &r.stats, sink: &c.rows, parts: c.parts.On()}
	if c.even = o.Deterministic; c.even {
		c.cutter.Prompt(true)
	}
	t.keeper, t.rows, t.pack = c, &c.rows, &c.pack
	return c
}

// join makes the recording a rung of a ladder.
func (c *recording) join(m *rung) {
	c.rung, c.grid = m, rungLog{log: &c.rows, rung: m}
	c.even = false // rungs are cut where the others are, whenever that is
	c.cutter.Prompt(false)
	c.t.ladder.Store(&m.l.shown)
	c.cutter.SetPolicy(m)
	c.pack.sink = &c.grid
	target, before := m.before()
	if target > 0 && c.rows.target == 0 {
		c.cutter.Fix(target)
	}
	c.pack.late = c.pack.late || before
}

// leave makes it a stream on its own again, from the segment in hand on.
func (c *recording) leave() {
	c.companion.cutOff(c.cutter.Newest(), c.line.End())
	c.grid.settle(true)
	if c.cutter.IsOpen() && len(c.rows.table.rows) > 0 {
		upTo := c.cutter.Newest().Number
		if d := c.pack.closing; d != nil {
			upTo = d.Number
		}
		c.grid.fill(upTo) // a number that it skipped nobody else declares lost
	}
	c.rung, c.companion = nil, nil
	c.t.ladder.Store(nil)
	c.parts.Ladder(0, 0)
	c.cutter.SetPolicy(&c.solo)
	c.pack.sink = &c.rows
	c.resume()
	if c.rows.target > 0 {
		c.solo.SetTarget(c.rows.target)
	}
	if c.cutter.IsOpen() {
		if next := c.rows.next(); c.cutter.Newest().Number < next { // its number was declared lost
			c.cutter.Renumber(next)
			c.pack.renumber(next)
		}
		c.solo.Follow(c.cutter.Newest())
	}
}

// attach lets a session write, whose first frame was made at an instant; false where the recording has ended, or cannot take the session's tracks.
func (c *recording) attach(s *session, made time.Time, t cut.Tracks) bool {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.rows.state == Ended || c.rung == nil && len(c.rows.table.rows) > 0 && !c.takes(t) {
		return false
	}
	c.owner = s
	c.t.vitals.Store(s.vitals)
	if c.rung != nil {
		c.rung.enter(c)
	}
	c.breakLine(false)
	c.lobby = intake.Lobby{}
	c.solo.Connect(made)
	c.steady = cut.Steady{}
	c.cutter.SetTracks(t)
	if len(c.rows.table.rows) == 0 {
		c.has = t
	}
	return true
}

// takes reports whether the recording had each kind of track from its start.
func (c *recording) takes(t cut.Tracks) bool {
	return (t.Video == nil || c.has.Video != nil) && (t.Audio == nil || c.has.Audio != nil)
}

// with is what it consists of now, with one track in the place of its like, or beside it.
func (c *recording) with(track *ingest.Track) cut.Tracks {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	t := c.cutter.Tracks()
	if c.gains != nil {
		t.Audio = c.gains
	}
	if track.Codec.IsVideo() {
		t.Video = track
	} else {
		t.Audio = track
	}
	return t
}

// changes reports whether the next segment would go on with other tracks than the newest has, and no discontinuity tells so.
func (c *recording) changes() bool { return len(c.rows.table.rows) > 0 && !c.gapsBreak() && !c.lists() }

// gapsBreak reports whether a discontinuity stands among the gaps at the end.
func (c *recording) gapsBreak() bool {
	rows := c.rows.table.rows
	for i := len(rows) - 1; i >= 0 && rows[i].Gap; i-- {
		if rows[i].Discontinuity {
			return true
		}
	}
	return false
}

// lists reports whether the tracks are those of the newest segment.
func (c *recording) lists() bool {
	return c.pack.tracks.Same(c.cutter.Tracks())
}

// write takes one frame of the session that attached; of another, it does nothing. An error ends the session, errSplit its
// part in this recording.
func (c *recording) write(s *session, f *ingest.Frame) error {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.owner != s {
		return nil
	}
	c.rows.lastFrame = s.heard(f)
	c.rows.goesOn()
	before := c.steady
	if c.even {
		c.steady.Frame(f)
	}
	if c.cutter.Tick(f.Arrival) {
		c.flush()
	}
	c.unit = c.line.Survey(f)
	if c.even && c.unit.Video && c.unit.Survey.Alone() {
		c.expect(&before)
	}
	var err error
	if c.unit.Video {
		err = c.picture(&c.unit)
	} else {
		err = c.sound(&c.unit)
	}
	if n := c.line.TakeRepaired(); n > 0 {
		c.rows.stats.DTSRepaired.Add(n)
	}
	if err == nil && c.pack.size() > maxSegment {
		err = errStill
	}
	return err
}

// awaited is by how much the frame that ends the part in hand comes later than the newest; 0 where there is none, or nobody waits for it.
func (c *recording) awaited(s *session) time.Duration {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.owner != s || !c.t.Snapshot().awaited() && !c.companion.awaited() {
		return 0
	}
	return cut.Duration(c.parts.Left())
}

// put hands a placed unit to the cutter, and what the cutter decides to the packagers.
func (c *recording) put(u *cut.Unit) bool {
	ok := c.cutter.Put(u)
	c.flush()
	if c.rung != nil && c.rung.gone.Load() {
		c.leave()
		if !ok {
			ok = c.cutter.Put(u)
			c.flush()
		}
	}
	if ok {
		c.owner.account(u).Written.Add(1)
	}
	return ok
}

// flush lets the packagers consume the cutter's events.
func (c *recording) flush() {
	for _, e := range c.cutter.Take() {
		switch {
		case e.Kind == cut.EventOpen && e.Segment.Keyless:
			c.forced()
		case e.Kind == cut.EventClose && c.rung == nil:
			e.Segment.Wall = c.solo.Wall(&e.Segment)
		}
		if c.parts.On() {
			c.part(&e)
		}
		if e.Kind == cut.EventOpen && c.even {
			c.edge(&e)
		}
		c.pack.take(&e)
		if c.rung == nil {
			continue
		}
		if e.Kind == cut.EventOpen && c.companion == nil && e.Tracks.Audio != nil {
			c.companion = c.rung.companion()
		}
		c.companion.take(&e)
	}
}

// part ends a part of the segment in hand where one ends before an event.
func (c *recording) part(e *cut.Event) {
	switch e.Kind {
	case cut.EventOpen:
		if c.rung != nil {
			c.parts.Ladder(c.rung.pace(c.parts.Frame(), c.parts.Usual()))
		}
	case cut.EventClose:
		e.PartTarget = c.parts.Target()
	}
	p, ok := c.parts.See(e)
	if !ok {
		return
	}
	if d := c.pack.draft(p.Number); d != nil && len(c.rows.table.rows) > 0 {
		p.Segment.Wall = c.told(&d.Segment)
	}
	c.pack.take(&p)
	if c.rung != nil {
		c.companion.take(&p)
	}
}

// told is the wall time of a segment in hand as somebody is told it now: it keeps it.
func (c *recording) told(g *cut.Segment) time.Time {
	if c.rung != nil {
		return c.rung.wall(g.Number, g.Wall)
	}
	c.solo.Settle()
	return c.solo.Wall(g)
}

// forced counts a cut without a keyframe, and says once per recording what to do.
func (c *recording) forced() {
	c.rows.stats.ForcedCuts.Add(1)
	if !c.warned {
		c.warned = true
		c.log.Warn("no keyframe came in time, the segment is cut without one: set the encoder's keyframe interval to 2 s, or hls.target_duration to its interval",
			"target_duration", c.rows.target)
	}
}

// breakLine ends the time line: what is written so far is published, and the next segment begins with a discontinuity. jump
// says that the publisher went on without a loss.
func (c *recording) breakLine(jump bool) {
	c.left = false
	c.cutter.Stop(c.line.End())
	c.flush()
	c.lobby.ForgetPictures()
	c.line.Reset(jump)
	c.whole.Break()
	c.resume()
}

func (c *recording) resume() {
	end, first := c.rows.end(), len(c.rows.table.rows) == 0
	if first {
		end, _ = c.t.id.Time() // it begins with its first frame
	}
	c.solo.Resume(c.rows.next(), end, first)
}

// drop counts a frame that goes no further.
func (c *recording) drop(u *cut.Unit, why ingest.Reason) {
	c.owner.account(u).Drop(why)
	c.rows.stats.dropped(why)
}

// detach ends a session's writing: the segment in hand is published, and the grace for the publisher's return begins.
func (c *recording) detach(s *session, cause error, now time.Time) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.owner != s {
		return
	}
	if c.left = c.handed(now); !c.left {
		c.breakLine(false)
	}
	c.owner = nil
	grace := c.o.ReconnectGrace
	if errors.Is(cause, ingest.ErrUnpublished) {
		grace = c.o.EndGrace
	}
	c.ends = now.Add(grace)
	if len(c.rows.table.rows) > 0 {
		c.rows.state = Stalled
	}
	if c.rung != nil {
		c.rung.leave(c.ends)
	}
	c.companion.stall()
	c.companion = nil
	c.rows.snapshot()
	c.log.Info("publisher gone", "cause", cause, "ends_in", grace)
}

// expire implements keeper.
func (c *recording) expire(now time.Time) bool {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	switch {
	case c.rows.state == Ended:
		return c.rows.forget(now, c.ends)
	case c.owner == nil && !now.Before(c.ends):
		if c.rung != nil && c.rung.keeps(now) {
			return false
		}
		c.conclude(now)
		if len(c.rows.table.rows) == 0 {
			return c.rows.forget(now, now)
		}
		return false
	}
	if c.cutter.Tick(now) {
		c.flush()
	}
	if c.rows.handed {
		c.hand(now)
	}
	if c.left && !c.rows.handed { // nobody has
		c.breakLine(false)
		c.rows.snapshot()
	}
	if c.owner != nil && now.Sub(c.rows.lastFrame) > c.patience() {
		c.rows.stall()
	}
	return false
}

// patience is how long a publisher may be silent before it counts as stalled: who sends whole segments is silent while it makes one.
func (c *recording) patience() time.Duration {
	if c.whole.On() {
		return max(stalledAfter, time.Duration(2*c.rows.target)*time.Second+time.Second)
	}
	return stalledAfter
}

// stop implements keeper.
func (c *recording) stop(now time.Time, hold bool) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	switch {
	case c.rows.state == Ended:
	case hold:
		c.grid.settle(true) // nobody will be there to do it
		c.forgo()
	default:
		c.conclude(now)
	}
}

// yield implements keeper, for a server that has not the stream any more: another goes on with it, or has begun the next. Those who follow it have a moment to see that.
func (c *recording) yield(now time.Time) bool {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if !c.rows.yield() {
		return false
	}
	c.breakLine(false)
	c.owner, c.ends = nil, now.Add(restoredTTL)
	if c.rung != nil {
		c.rung.leave(c.ends)
	}
	c.companion.stall()
	c.companion = nil
	c.forgo()
	c.rows.snapshot()
	return true
}

// conclude makes the recording final.
func (c *recording) conclude(now time.Time) {
	c.breakLine(false)
	c.grid.settle(true)
	c.owner, c.ends = nil, now.Add(c.o.EndedTTL)
	c.rows.conclude(now)
	c.forgo()
	c.log.Info("recording ended", "segments", len(c.rows.table.rows))
}

// forgo says what was ordered and will never be shown: what waits for a place has none any more, neither here nor after a restart.
func (c *recording) forgo() {
	tags, id := c.pack.tags.Drop(), c.rows.table.cues.Drop()
	if tags > 0 {
		c.rows.stats.MetadataLost.Add(int64(tags))
		c.log.Warn("timed metadata was accepted and is not in the recording, which ended before its place came: send it again", "tags", tags)
	}
	if id != "" {
		c.rows.stats.CuesLost.Add(1)
		c.log.Warn("an ad break was ordered and is not in the recording, which ended before its place came: order it again", "id", id)
	}
}

// fill lists gaps up to a number that other rungs have and this one does not deliver.
func (c *recording) fill(upTo uint64) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.rows.state != Ended && c.rung != nil {
		c.grid.fill(upTo)
	}
}
