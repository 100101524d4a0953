package segmenter

import (
	"log/slog"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// presentation is a ladder: several rungs: streams that are published on their own and share one recording id, one cut
// grid, and with it their numbers, their target duration, their wall time and their discontinuities. A rung that cannot keep
// the grid stands outside, as a stream on its own; one that is away for a while leaves gaps at its numbers, and no other
// rung waits for it.
//
// Locks are taken in the order of a rung's Timeline.mu, that of the audio-only variant, presentation.mu, that of the ladder.
type presentation struct {
	key   Key
	o     *AppOptions
	r     *Registry
	log   *slog.Logger
	names []string // of the rungs, best first

	mu     sync.Mutex
	show   *multivariant // nil before its first rung
	audio  *companion    // its audio-only variant; nil where there is none
	grid   grid
	clock  wallclock
	target int // seconds; 0 until the first segment is complete
	rungs  map[string]*rung

	newest   RecordingID // of all its recordings
	restored bool        // the present one was taken up after a restart
}

func newPresentation(r *Registry, key Key, names []string, o *AppOptions) *presentation {
	l := &presentation{key: key, o: o, r: r, names: names, log: r.o.Log.With("ladder", key.String()), rungs: map[string]*rung{}}
	for _, name := range names {
		l.rungs[name] = &rung{l: l, stream: name}
	}
	l.reset()
	return l
}

// reset makes the ladder ready for its next recording.
func (l *presentation) reset() {
	l.show, l.audio, l.grid, l.target, l.restored = nil, nil, grid{wanted: ticks(l.o.SegmentDuration)}, 0, false
	l.clock = wallclock{maxDrift: l.o.PDTMaxDrift}
	for _, m := range l.rungs {
		m.reset()
	}
}

// find finds the boundary at a keyframe of a rung without an open segment, or makes it; nil where there is none.
func (l *presentation) find(m *rung, u *unit) *bound {
	g, arrival := &l.grid, u.frame.Arrival
	if g.any && l.restored && !l.fits(m) {
		return nil
	}
	switch {
	case !g.any:
		if !l.fits(m) {
			return nil
		}
		// After a restart there are numbers already, but nothing is known of their time base.
		next := l.nextNumber()
		if next > 0 {
			g.mark(next)
		}
		return l.epoch(m, next, u)
	case g.shares(u.at, arrival):
		if b := g.find(u.at, tolerance(u)); b != nil {
			return b
		}
		if steps, ok := g.due(u.at, tolerance(u), arrival, !l.othersActive(m, arrival)); ok && (u.video || g.sure || !l.pictures()) {
			return l.boundary(m, g.newest+uint64(steps), u, false)
		}
		if !u.resumes || l.othersActive(m, arrival) {
			return nil
		}
	case l.othersActive(m, arrival):
		return nil
	}
	l.log.Info("the encoder's time stamps begin anew: a discontinuity in all rungs", "number", g.newest+1)
	return l.epoch(m, g.newest+1, u)
}

// epoch begins a time base with the boundary of a number.
func (l *presentation) epoch(m *rung, number uint64, u *unit) *bound {
	l.clock.anchor(m.c.solo.instant(u), l.notBefore(), u.at)
	l.grid.begin(bound{number: number, at: u.at, wall: l.clock.at(u.at), arrival: u.frame.Arrival, keyless: !u.key, by: m})
	return l.grid.bound(number)
}

// boundary makes the boundary of a number. Where the wall clock has drifted it is set right there, in all rungs.
func (l *presentation) boundary(m *rung, number uint64, u *unit, keyless bool) *bound {
	if l.clock.drifted(u.frame.Arrival, u.at) {
		l.clock.anchor(u.frame.Arrival, l.grid.bound(l.grid.newest).wall.Add(time.Millisecond), u.at)
		l.grid.mark(number)
	}
	l.grid.set(bound{number: number, at: u.at, wall: l.clock.at(u.at), arrival: u.frame.Arrival, keyless: keyless, by: m})
	return l.grid.bound(number)
}

// observe holds the wall clock of a new time base against a picture: see wallclock.observe.
func (l *presentation) observe(u *unit) {
	before := l.clock.moved
	l.clock.observe(u.frame.Arrival, u.at)
	if back := l.clock.moved - before; back > 0 {
		l.grid.trim(back)
	}
}

// pictures reports whether any rung sends pictures.
func (l *presentation) pictures() bool {
	for _, o := range l.rungs {
		if o.on && o.out == "" && len(o.pace.keys) > 0 {
			return true
		}
	}
	return false
}

// nextNumber is the number after all that any rung listed.
func (l *presentation) nextNumber() (n uint64) {
	for _, m := range l.rungs {
		if m.listed {
			n = max(n, m.last+1)
		}
	}
	return n
}

// notBefore is the end of what is listed, or is going to be.
func (l *presentation) notBefore() time.Time {
	end, _ := l.show.t.id.Time()
	if b := l.grid.bound(l.grid.newest); b != nil {
		end = b.wall.Add(duration(l.grid.step))
	}
	for _, m := range l.rungs {
		if m.c == nil || !m.listed {
			continue
		}
		s := m.c.t.Snapshot()
		if n := len(s.Rows); n > 0 {
			if e := &s.Rows[n-1]; e.Start.Add(duration(e.Duration)).After(end) {
				end = e.Start.Add(duration(e.Duration))
			}
		}
	}
	return end
}

// othersActive reports whether a rung beside m goes on with the epoch.
func (l *presentation) othersActive(m *rung, now time.Time) bool {
	step := l.grid.step
	if step == 0 {
		step = ticks(l.o.MaxTargetDuration) // they have not shown their second keyframe
	}
	for _, o := range l.rungs {
		if o != m && o.on && o.out == "" && o.c != nil && o.since.IsZero() && !o.pace.fits.IsZero() && now.Sub(o.pace.fits) < duration(max(step, Clock))+time.Second {
			return true
		}
	}
	return false
}

// waiting puts a rung outside that found no place for too long.
func (l *presentation) waiting(m *rung, now time.Time) {
	if m.since.IsZero() {
		m.since = now
	} else if now.Sub(m.since) > waitForPlace {
		l.exclude(m, "its keyframes or time stamps do not fit the other rungs': publish all rungs from one encoder, with one keyframe interval")
	}
}

// exclude leaves a rung outside for the rest of the recording.
func (l *presentation) exclude(m *rung, why string) {
	if m.out != "" {
		return
	}
	m.out = why
	m.gone.Store(true)
	l.log.Warn("a rung stands outside its ladder and is played alone", "stream", m.stream, "reason", why)
	l.render()
}

// idle reports whether the ladder has no recording and no publisher.
func (l *presentation) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.rungs {
		if m.on {
			return false
		}
	}
	return l.show == nil
}

// goesOn reports whether any rung has a publisher, or waits for one.
func (l *presentation) goesOn(now time.Time) bool {
	for _, m := range l.rungs {
		if m.c != nil && m.out == "" && (m.on || now.Before(m.until)) {
			return true
		}
	}
	return false
}

func (l *presentation) start(id RecordingID) {
	begun, _ := id.Time()
	l.show, l.newest = newMultivariant(l.r, l.key, id, l.o, begun), max(l.newest, id)
	l.r.adopt(l.show.t, true)
	l.log.Info("ladder begins", "recording", id)
}

// companion gives a ladder's first rung its audio-only variant; nil for every other rung.
func (m *rung) companion() *companion {
	l := m.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.o.Audio || m.stream != l.names[0] || l.show == nil {
		return nil
	}
	if l.audio == nil {
		key, id := Key{l.key.App, l.key.Stream + AudioSuffix}, l.show.t.id
		t := l.r.current(key)
		switch {
		case t == nil || t.id != id:
			begun, _ := id.Time()
			t = &Timeline{key: key, id: id}
			l.audio = newCompanion(t, l.r, l.o, begun)
			l.audio.rows.snapshot()
			l.r.adopt(t, false)
		case t.Snapshot().State == Ended:
			return nil // after a restart this rung came back later than its audio could wait; a recording ends once
		default:
			l.audio = companionOf(t, l.r)
		}
		if l.audio == nil {
			return nil
		}
	}
	l.audio.lead(m)
	return l.audio
}

// tick declares what lagging or lost rungs did not deliver as gaps, and ends the ladder when its last rung has ended.
func (l *presentation) tick(now time.Time) {
	for _, w := range l.overdue(now) {
		w.c.fill(w.upTo)
	}
	l.mu.Lock()
	if l.show == nil {
		l.mu.Unlock()
		return
	}
	if l.goesOn(now) {
		l.stall()
		l.mu.Unlock()
		return
	}
	for _, m := range l.rungs {
		if m.c != nil && m.c.t.Snapshot().State != Ended {
			l.mu.Unlock()
			return
		}
	}
	l.mu.Unlock()
	l.conclude(now)
}

type gapWork struct {
	c    *recording
	upTo uint64
}

// overdue lists the rungs that did not deliver a number within a target duration of the first that did.
func (l *presentation) overdue(now time.Time) (work []gapWork) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := time.Duration(l.target) * time.Second
	for _, m := range l.rungs {
		if m.c == nil || m.out != "" || !m.listed {
			continue
		}
		upTo := m.last + 1
		for b := l.grid.bound(upTo); b != nil && !b.listed.IsZero() && now.Sub(b.listed) > wait; b = l.grid.bound(upTo) {
			upTo++
		}
		if upTo > m.last+1 {
			work = append(work, gapWork{m.c, upTo})
		}
	}
	return work
}

// stall shows that no rung has input any more; render takes it back.
func (l *presentation) stall() {
	for _, m := range l.rungs {
		if m.c != nil && m.out == "" && m.c.t.Snapshot().State <= Live {
			return
		}
	}
	l.show.stall()
}

// conclude makes the ladder final and ready for the next.
func (l *presentation) conclude(now time.Time) {
	l.mu.Lock()
	show, audio := l.show, l.audio
	if show != nil {
		l.log.Info("ladder ended", "recording", show.t.id)
	}
	l.mu.Unlock()
	if show == nil {
		return
	}
	audio.stop(now, false)
	show.stop(now, false)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.show == show {
		l.reset()
	}
}

// render brings the ladder's multivariant playlists up to date: one variant for each rung that is in and keeps up, best
// first.
func (l *presentation) render() {
	if l.show == nil {
		return
	}
	id, newest := string(l.show.t.id), l.nextNumber()
	live, all := m3u8.Master{IndependentSegments: true}, m3u8.Master{IndependentSegments: true}
	for _, name := range l.names {
		m := l.rungs[name]
		if m.c == nil || m.out != "" || !m.listed {
			continue
		}
		s := m.c.t.Snapshot()
		v := s.Variant
		variant := v.named(name + "-" + id + ".m3u8")
		all.Variants = append(all.Variants, variant)
		all.IndependentSegments = all.IndependentSegments && !m.dependent
		if m.last+3 >= newest && !m.lost() {
			variant.URI = name + "/" + id + "/live.m3u8"
			live.Variants = append(live.Variants, variant)
			live.IndependentSegments = live.IndependentSegments && independent(s.Rows[s.First:])
		}
	}
	if l.audio != nil {
		if s := l.audio.t.Snapshot(); len(s.Rows) > 0 && s.Next()+3 >= newest {
			v := s.Variant.named(s.Stream + "-" + id + ".m3u8")
			all.Variants = append(all.Variants, v)
			v.URI = s.Stream + "/" + id + "/live.m3u8"
			live.Variants = append(live.Variants, v)
		}
	}
	if len(live.Variants) == 0 {
		return // all rungs are away: what they were stands until they end
	}
	at := time.Time{}
	if b := l.grid.bound(l.grid.newest); b != nil {
		at = b.arrival
	}
	l.show.update(live.Append(nil), all.Append(nil), l.target, at)
}
