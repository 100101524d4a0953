package segmenter

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/grid"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
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
	grid   *grid.Grid
	rungs  map[string]*rung
	newest RecordingID // of all its recordings

	shown renditions // the timelines that viewers are shown now, for their low-latency playlists
}

func newPresentation(r *Registry, key Key, names []string, o *AppOptions) *presentation {
	l := &presentation{key: key, o: o, r: r, names: names, log: r.o.Log.With("ladder", key.String()), rungs: map[string]*rung{}}
	l.grid = grid.New(grid.Options{Segment: o.SegmentDuration, MaxTarget: o.MaxTargetDuration, MaxDrift: o.PDTMaxDrift}, l, names)
	for _, place := range l.grid.Rungs() {
		l.rungs[place.Stream()] = &rung{l: l, stream: place.Stream(), place: place}
	}
	return l
}

// reset makes the ladder ready for its next recording.
func (l *presentation) reset() {
	l.show, l.audio = nil, nil
	l.grid.Reset()
	for _, m := range l.rungs {
		m.reset()
	}
}

// Target implements grid.Ladder.
func (l *presentation) Target(r *grid.Rung) int {
	if c := l.rungs[r.Stream()].c; c != nil {
		return c.t.Snapshot().TargetDuration
	}
	return 0
}

// End implements grid.Ladder.
func (l *presentation) End() time.Time {
	end, _ := l.show.t.id.Time()
	for _, m := range l.rungs {
		if _, listed := m.place.Last(); m.c == nil || !listed {
			continue
		}
		s := m.c.t.Snapshot().Whole()
		if n := len(s.Rows); n > 0 {
			if e := &s.Rows[n-1]; e.Start.Add(cut.Duration(e.Duration)).After(end) {
				end = e.Start.Add(cut.Duration(e.Duration))
			}
		}
	}
	return end
}

// heed does what the grid's decisions lead to.
func (l *presentation) heed() {
	for _, e := range l.grid.Take() {
		switch e.Kind {
		case grid.Relearned:
			l.log.Info("all rungs have another keyframe interval", "seconds", e.Interval.Seconds())
		case grid.Restarted:
			l.log.Info("the encoder's time stamps begin anew: a discontinuity in all rungs", "number", e.Number)
		case grid.Excluded:
			l.rungs[e.Rung.Stream()].gone.Store(true)
			l.log.Warn("a rung stands outside its ladder and is played alone", "stream", e.Rung.Stream(), "reason", e.Rung.Out())
			l.render()
		}
	}
}

// is reports whether the ladder has these rungs.
func (l *presentation) is(rungs []string) bool { return slices.Equal(l.names, rungs) }

// idle reports whether the ladder has no recording and no publisher.
func (l *presentation) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.rungs {
		if m.place.On() {
			return false
		}
	}
	return l.show == nil
}

func (l *presentation) start(id RecordingID) {
	begun, _ := id.Time()
	l.show, l.newest = newMultivariant(l.r, l.key, id, l.o, begun), max(l.newest, id)
	l.r.adopt(l.show.t)
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
			l.r.adopt(t)
		case t.Snapshot().Whole().State == Ended:
			return nil // after a restart this rung came back later than its audio could wait; a recording ends once
		default:
			l.audio = companionOf(t, l.r)
		}
		if l.audio == nil {
			return nil
		}
		t.ladder.Store(&l.shown)
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
	over := l.show != nil && !l.grid.GoesOn(now)
	if l.show != nil && !over {
		l.stall()
	}
	for _, m := range l.rungs {
		over = over && !m.comes && (m.c == nil || m.c.t.Snapshot().Whole().State == Ended)
	}
	end := func(time.Time) {}
	if over { // before anybody else can come in
		end = l.leave()
	}
	l.mu.Unlock()
	end(now)
}

type gapWork struct {
	c    *recording
	upTo uint64
}

// overdue lists the rungs that did not deliver a number within a target duration of the first that did.
func (l *presentation) overdue(now time.Time) (work []gapWork) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.rungs {
		if upTo, ok := l.grid.Overdue(m.place, now); ok {
			work = append(work, gapWork{m.c, upTo})
		}
	}
	return work
}

// stall shows that no rung has input any more; render takes it back.
func (l *presentation) stall() {
	if !l.fed() {
		l.show.stall()
	}
}

// fed reports whether a rung has input.
func (l *presentation) fed() bool {
	for _, m := range l.rungs {
		if m.c != nil && m.place.Out() == "" && m.c.t.Snapshot().Whole().State <= Live {
			return true
		}
	}
	return false
}

// leave makes the ladder ready for its next recording. The result makes that which it leaves final; it is called without the
// ladder's lock.
func (l *presentation) leave() (end func(now time.Time)) {
	show, audio := l.show, l.audio
	l.reset()
	if show == nil {
		return func(time.Time) {}
	}
	l.log.Info("ladder ended", "recording", show.t.id)
	return func(now time.Time) {
		audio.stop(now, false)
		show.stop(now, false)
	}
}

// conclude makes the ladder final.
func (l *presentation) conclude(now time.Time) {
	l.mu.Lock()
	end := l.leave()
	l.mu.Unlock()
	end(now)
}

// render brings the ladder's multivariant playlists up to date: one variant for each rung that is in and keeps up, best
// first.
func (l *presentation) render() {
	if l.show == nil {
		return
	}
	id, newest := string(l.show.t.id), l.grid.NextNumber()
	live := m3u8.Master{IndependentSegments: true, SessionData: l.o.SessionData}
	all := live
	var shown []*Timeline
	var liveCaptions, allCaptions []variant.Captions // of the variants, in their order
	for _, name := range l.names {
		m := l.rungs[name]
		last, listed := m.place.Last()
		if m.c == nil || m.place.Out() != "" || !listed {
			continue
		}
		s := m.c.t.Snapshot()
		if len(s.Rows) == 0 && s.Unlisted() > 0 {
			continue // there is nothing to play yet
		}
		v := s.Variant
		entry := v.Named(name + "-" + id + ".m3u8")
		all.Variants, allCaptions = append(all.Variants, entry), append(allCaptions, v.Captions)
		all.IndependentSegments = all.IndependentSegments && !m.dependent
		if i, ok := v.IFrames(name + "-" + id + iframesSuffix); ok {
			all.IFrames = append(all.IFrames, i)
		}
		if m.keepsUp(last, newest) {
			if i, ok := v.IFrames(name + "/" + id + "/" + IFramesFile); ok {
				live.IFrames = append(live.IFrames, i)
			}
			entry.URI = name + "/" + id + "/live.m3u8"
			live.Variants, liveCaptions = append(live.Variants, entry), append(liveCaptions, v.Captions)
			shown = append(shown, m.c.t)
			live.IndependentSegments = live.IndependentSegments && independent(s.Whole().Rows[s.First:])
		}
	}
	if l.audio != nil {
		if s := l.audio.t.Snapshot(); len(s.Rows) > 0 && s.Whole().Next()+3 >= newest {
			v := s.Variant.Named(s.Stream + "-" + id + ".m3u8")
			all.Variants, allCaptions = append(all.Variants, v), append(allCaptions, variant.Captions{})
			v.URI = s.Stream + "/" + id + "/live.m3u8"
			live.Variants, liveCaptions = append(live.Variants, v), append(liveCaptions, variant.Captions{})
			shown = append(shown, l.audio.t)
		}
	}
	l.shown.set(shown)
	if len(live.Variants) == 0 {
		return // all rungs are away: what they were stands until they end
	}
	variant.Caption(&live, liveCaptions)
	variant.Caption(&all, allCaptions)
	l.show.update(live.Append(nil), all.Append(nil), l.grid.Target(), l.grid.Arrival(), l.fed())
}

// onAir reports whether the ladder has a recording that has not ended.
func (l *presentation) onAir() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.show != nil
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
		t: &Timeline{key: key, id: id, group: true}, o: o, r: r, modified: begun, archive: &archive{r: &r.renderer},
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
