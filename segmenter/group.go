package segmenter

import (
	"log/slog"
	"slices"
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

// member is one rung's place in its group. Guarded by group.mu.
type member struct {
	g      *group
	stream string
	t      *Timeline // its part of the group's recording; nil before its first keyframe
	on     bool      // a publisher is there
	until  time.Time // while none is: when its grace is over
	out    string    // why it stands outside; empty: it does not
	since  time.Time // when it began to wait for a place; zero: it has one
	last   uint64    // the newest number it listed
	listed bool
	seen   time.Time // the newest keyframe
}

// waitForPlace is how long a rung may be without a place on the grid before it is left outside.
const waitForPlace = 15 * time.Second

func newGroup(r *Registry, key Key, rungs []string, o *AppOptions) *group {
	g := &group{key: key, o: o, r: r, rungs: rungs, log: r.o.Log.With("group", key.String()), members: map[string]*member{}}
	g.grid.segment = ticks(o.SegmentDuration)
	for _, name := range rungs {
		g.members[name] = &member{g: g, stream: name}
	}
	return g
}

// place finds the number that begins at a keyframe of a rung without an open segment; false where the frame has to be
// dropped and the next keyframe asked about. next is the rung's first free number, changed says that its configuration
// differs from what it listed before. The first rung of all begins the recording.
func (m *member) place(at, frame int64, arrival time.Time, next uint64, changed bool) (number uint64, wall time.Time, ok bool) {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	m.seen = arrival
	number, ok = g.find(m, at, frame, arrival)
	if ok && changed && !g.grid.breaks[number] {
		// A discontinuity stands in all rungs or in none: it is set at a number that no rung has begun.
		g.grid.breaks[g.grid.newest+1] = true
		ok = false
	}
	if !ok || number < next {
		g.waiting(m, arrival)
		return 0, time.Time{}, false
	}
	m.since = time.Time{}
	return number, g.grid.bound(number).wall, true
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
	for _, o := range g.members {
		if o != m && o.on && o.out == "" && o.t != nil && now.Sub(o.seen) < duration(max(g.grid.step, Clock))+time.Second {
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

// cut tells whether a keyframe of a rung with an open segment begins a number, and which.
func (m *member) cut(at, start, frame int64, arrival time.Time) (number uint64, wall time.Time, ok bool) {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	m.seen = arrival
	if !g.grid.any {
		return 0, time.Time{}, false
	}
	g.grid.learn(at - start)
	number, ok = g.grid.number(at, frame*3/2, arrival)
	if !ok {
		return 0, time.Time{}, false
	}
	return number, g.grid.bound(number).wall, true
}

// missed tells whether a rung's open segment, begun at start, should have been cut by now.
func (m *member) missed(at, start, frame int64) bool {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	step := g.grid.step
	if step == 0 {
		step = ticks(g.o.MaxTargetDuration)
	}
	if at-start <= step+2*frame {
		return false
	}
	if m.out == "" {
		g.exclude(m, "it has no keyframe where the other rungs have theirs: set the same fixed keyframe interval for all")
	}
	return true
}

// breakAt tells whether a number begins with a discontinuity.
func (m *member) breakAt(number uint64) bool {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	return m.g.grid.breaks[number]
}

// gap is the row of a number whose bytes a rung does not have.
func (m *member) gap(number uint64, after time.Time) Entry {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	e := Entry{Sequence: number, Start: after, Duration: max(g.grid.step, 1), Gap: true, Discontinuity: g.grid.breaks[number]}
	if b := g.grid.bound(number); b != nil {
		e.Start = b.wall
		if next := g.grid.bound(number + 1); next != nil && !g.grid.breaks[number+1] {
			e.Duration = next.at - b.at
		}
	}
	return e
}

// fix is the target duration of all rungs, settled by the first that lists a segment.
func (m *member) fix(own int) int {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.target == 0 {
		g.target = own
		if g.grid.step > 0 {
			g.target = max(1, roundSeconds(g.grid.step))
		}
	}
	return g.target
}

// published notes that a rung listed a segment.
func (m *member) published(number uint64, arrival time.Time) {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	m.last, m.listed = max(m.last, number), true
	if b := g.grid.bound(number); b != nil && b.listed.IsZero() {
		b.listed = arrival
	}
	for n := range g.grid.breaks {
		if n+gridMemory < g.grid.newest {
			delete(g.grid.breaks, n)
		}
	}
	g.render()
}

// enter and leave note a rung's publisher coming and going.
func (m *member) enter(t *Timeline) {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	m.t, m.on, m.since = t, true, time.Time{}
}

func (m *member) leave(until time.Time) {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	m.on, m.until = false, until
}

// keeps tells whether a rung whose own grace is over stays open because the ladder goes on.
func (m *member) keeps(now time.Time) bool {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	return m.out == "" && m.g.goesOn(now)
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

// recording is the id that a rung's new timeline begins with; false where the rung stands outside. The group's own
// timeline begins with the first of them, named later than all in after.
func (m *member) recording(first time.Time, after RecordingID) (RecordingID, bool) {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case m.out != "":
		return "", false
	case g.t == nil:
		g.start(newRecordingID(first, after))
	case g.t.id <= after:
		return "", false
	}
	return g.t.id, true
}

// outside tells whether the rung is left to itself.
func (m *member) outside() bool {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	return m.out != ""
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

// restore takes a rung's recovered recording into the ladder.
func (m *member) restore(t *Timeline, rec Recovered, until time.Time, ended bool) bool {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if ended || g.t != nil && g.t.id != rec.Recording {
		return false
	}
	if g.t == nil {
		g.start(rec.Recording)
	}
	m.t, m.until, m.last, m.listed = t, until, max(rec.Next, 1)-1, rec.Next > 0
	g.target = max(g.target, rec.TargetDuration)
	return true
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
		if g.audio.w.state != Ended {
			g.audio.w.conclude(now)
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

// lost tells whether all that the rung listed lately are gaps.
func (m *member) lost() bool {
	s := m.t.Snapshot()
	n := len(s.Entries)
	return n >= 2 && !slices.ContainsFunc(s.Entries[n-2:], func(e Entry) bool { return !e.Gap })
}
