package segmenter

import (
	"log/slog"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// group is a ladder: rungs that are published as streams of their own and share one recording id, one cut grid, and with
// it their numbers, their wall time and their discontinuities. A rung that cannot keep the grid stands outside, as a
// stream on its own; one that is away for a while leaves gaps at its numbers, and no other rung waits for it.
//
// Locks are taken in the order of a rung's Timeline.mu, group.mu, the Timeline.mu of the group or its audio variant.
type group struct {
	key   Key
	o     *AppOptions
	r     *Registry
	log   *slog.Logger
	rungs []string // stream names, best first

	mu      sync.Mutex
	t       *Timeline // of the ladder itself: state and multivariant playlists, no segments; nil before its first rung
	audio   *Timeline // of its audio-only variant; nil where there is none
	grid    grid
	target  int // seconds; 0 until the first segment is listed
	members map[string]*member
}

func newGroup(r *Registry, key Key, rungs []string, o *AppOptions) *group {
	g := &group{key: key, o: o, r: r, rungs: rungs, log: r.o.Log.With("group", key.String()), members: map[string]*member{}}
	g.grid.segment = ticks(o.SegmentDuration)
	for _, name := range rungs {
		g.members[name] = &member{g: g, stream: name}
	}
	return g
}

func (g *group) find(m *member, at, frame int64, arrival time.Time) (uint64, bool) {
	tolerance := frame * 3 / 2
	switch {
	case !g.grid.any:
		// After a restart there are numbers already, but nothing is known of their time base.
		next := g.nextNumber()
		g.grid.begin(next, at, g.notBefore(arrival), arrival)
		if next > 0 {
			g.grid.breaks[next] = true
		}
		return next, true
	case g.grid.shares(at, arrival):
		return g.grid.number(at, tolerance, arrival)
	case g.othersActive(m, arrival):
		return 0, false
	}
	g.log.Info("the encoder's time stamps begin anew: a discontinuity in all rungs", "number", g.grid.newest+1)
	g.grid.begin(g.grid.newest+1, at, g.notBefore(arrival), arrival)
	return g.grid.newest, true
}

// nextNumber is the number after all that any rung listed.
func (g *group) nextNumber() (n uint64) {
	for _, m := range g.members {
		if m.listed {
			n = max(n, m.last+1)
		}
	}
	return n
}

// notBefore is an arrival, but no earlier than the end of what is listed.
func (g *group) notBefore(arrival time.Time) time.Time {
	if b := g.grid.bound(g.grid.newest); b != nil {
		if end := b.wall.Add(duration(g.grid.step)); arrival.Before(end) {
			return end
		}
	}
	return arrival.UTC().Truncate(time.Millisecond)
}

// othersActive tells whether a rung beside m goes on with the epoch.
func (g *group) othersActive(m *member, now time.Time) bool {
	step := g.grid.step
	if step == 0 {
		step = ticks(g.o.MaxTargetDuration) // they have not shown their second keyframe
	}
	for _, o := range g.members {
		if o != m && o.on && o.out == "" && o.t != nil && now.Sub(o.seen) < duration(max(step, Clock))+time.Second {
			return true
		}
	}
	return false
}

// waiting puts a rung outside that found no place for too long.
func (g *group) waiting(m *member, now time.Time) {
	if m.since.IsZero() {
		m.since = now
	} else if now.Sub(m.since) > waitForPlace {
		g.exclude(m, "its keyframes or time stamps do not fit the other rungs': publish all rungs from one encoder, with one keyframe interval")
	}
}

// exclude leaves a rung outside for the rest of the recording.
func (g *group) exclude(m *member, why string) {
	m.out = why
	g.log.Warn("a rung stands outside its group", "stream", m.stream, "reason", why)
	g.render()
}

// idle tells whether the ladder has no recording and no publisher.
func (g *group) idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.members {
		if m.on {
			return false
		}
	}
	return g.t == nil
}

// goesOn tells whether any rung has a publisher, or waits for one.
func (g *group) goesOn(now time.Time) bool {
	for _, m := range g.members {
		if m.t != nil && m.out == "" && (m.on || now.Before(m.until)) {
			return true
		}
	}
	return false
}

func (g *group) start(id RecordingID) {
	begun, _ := id.Time()
	g.t = g.r.newTimeline(g.key, id, g.o, begun)
	g.t.w.group = true
	g.t.w.snapshot()
	g.r.adopt(g.t, true)
	g.log.Info("ladder begins", "recording", id)
}

// tick declares what lagging or lost rungs did not deliver as gaps, and ends the ladder when its last rung has ended.
func (g *group) tick(now time.Time) {
	for _, work := range g.overdue(now) {
		work.t.mu.Lock()
		if work.t.w.state != Ended {
			work.t.w.fill(work.upTo)
		}
		work.t.mu.Unlock()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.t == nil {
		return
	}
	if g.goesOn(now) {
		g.stall()
		return
	}
	for _, m := range g.members {
		if m.t != nil && m.t.Snapshot().State != Ended {
			return
		}
	}
	g.conclude(now)
}

type gapWork struct {
	t    *Timeline
	upTo uint64
}

// overdue lists the rungs that did not deliver a number within a target duration of the first that did.
func (g *group) overdue(now time.Time) (work []gapWork) {
	g.mu.Lock()
	defer g.mu.Unlock()
	wait := time.Duration(g.target) * time.Second
	for _, m := range g.members {
		if m.t == nil || m.out != "" || !m.listed {
			continue
		}
		upTo := m.last + 1
		for b := g.grid.bound(upTo); b != nil && !b.listed.IsZero() && now.Sub(b.listed) > wait; b = g.grid.bound(upTo) {
			upTo++
		}
		if upTo > m.last+1 {
			work = append(work, gapWork{m.t, upTo})
		}
	}
	return work
}

// stall shows that no rung has input any more; render takes it back.
func (g *group) stall() {
	for _, m := range g.members {
		if m.t != nil && m.out == "" && m.t.Snapshot().State <= Live {
			return
		}
	}
	g.t.mu.Lock()
	defer g.t.mu.Unlock()
	if g.t.w.state == Live {
		g.t.w.state = Stalled
		g.t.w.snapshot()
	}
}

// conclude makes the ladder final and ready for the next.
func (g *group) conclude(now time.Time) {
	if g.t == nil {
		return
	}
	t := g.t
	t.mu.Lock()
	t.w.state, t.w.modified, t.w.end = Ended, now, now.Add(g.o.EndedTTL)
	t.w.stats.Recordings.Add(-1)
	t.w.snapshot()
	t.mu.Unlock()
	if g.audio != nil {
		g.audio.mu.Lock()
		if w := &g.audio.w; w.state != Ended {
			if w.held != nil && w.held.number != w.next() {
				w.settle(false) // the gaps before it would ask for the grid, which is locked here
			}
			w.conclude(now)
		}
		g.audio.mu.Unlock()
	}
	g.log.Info("ladder ended", "recording", t.id)
	g.t, g.audio, g.grid, g.target = nil, nil, grid{segment: g.grid.segment}, 0
	for _, m := range g.members {
		*m = member{g: g, stream: m.stream, on: m.on && m.out != ""}
	}
}

// render brings the ladder's multivariant playlists up to date: one variant for each rung that is in and keeps up, best
// first.
func (g *group) render() {
	if g.t == nil {
		return
	}
	newest := g.nextNumber()
	var live, all m3u8.Master
	for _, name := range g.rungs {
		m := g.members[name]
		if m.t == nil || m.out != "" || !m.listed {
			continue
		}
		v := m.t.Snapshot().Variant
		variant := m3u8.Variant{
			URI:       name + "-" + string(g.t.id) + ".m3u8",
			Bandwidth: v.Bandwidth, AverageBandwidth: v.AverageBandwidth, Codecs: v.Codecs,
			Width: v.Width, Height: v.Height, FrameRate: v.FrameRate,
		}
		all.Variants = append(all.Variants, variant)
		if m.last+3 >= newest && !m.lost() {
			variant.URI = name + "/" + string(g.t.id) + "/live.m3u8"
			live.Variants = append(live.Variants, variant)
		}
	}
	if g.audio != nil {
		if s := g.audio.Snapshot(); len(s.Entries) > 0 && s.Next()+3 >= newest {
			v := m3u8.Variant{Bandwidth: s.Variant.Bandwidth, AverageBandwidth: s.Variant.AverageBandwidth, Codecs: s.Variant.Codecs}
			v.URI = g.audio.key.Stream + "-" + string(g.t.id) + ".m3u8"
			all.Variants = append(all.Variants, v)
			v.URI = g.audio.key.Stream + "/" + string(g.t.id) + "/live.m3u8"
			live.Variants = append(live.Variants, v)
		}
	}
	if len(live.Variants) == 0 {
		return // all rungs are away: what they were stands until they end
	}
	live.IndependentSegments, all.IndependentSegments = true, true
	g.t.mu.Lock()
	defer g.t.mu.Unlock()
	w := &g.t.w
	at := w.modified
	if b := g.grid.bound(g.grid.newest); b != nil {
		at = b.arrival
	}
	entry, whole := w.renderer.finish(live.Append(nil), at), w.renderer.finish(all.Append(nil), at)
	if w.state == Live && entry.ETag == w.entry.ETag && whole.ETag == w.archive.last.ETag {
		return
	}
	w.state, w.entry, w.archive = Live, entry, &archive{fixed: true, last: whole}
	w.target, w.modified = g.target, at
	w.snapshot()
}
