package segmenter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cue"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/id3"
)

// What operators ask of a stream by its name, and do to it.

// Publisher describes who publishes a stream now.
type Publisher struct {
	Protocol string
	Remote   string
	Since    time.Time
	// LastFrame is when the newest frame came; Since where none has come yet.
	LastFrame time.Time
	// Problem says what is wrong with it, as an operator reads it; empty: nothing is.
	Problem string
	// Ledger accounts for its frames; nil where its protocol keeps none.
	Ledger *ingest.Ledger
}

// Publisher is the stream's publisher; false where there is none.
func (r *Registry) Publisher(k Key) (Publisher, bool) {
	s := r.session(k)
	if s == nil {
		return Publisher{}, false
	}
	p := Publisher{Protocol: s.a.Protocol, Remote: s.a.Remote, Since: s.since, LastFrame: s.newest(), Ledger: s.a.Ledger}
	if m := r.ladders.byRung(k); m != nil {
		p.Problem = m.problem()
	}
	return p, true
}

// session is a stream's publisher; nil where there is none, or it is going. The registry's lock is not kept: a ladder that begins
// asks for it with its own lock held.
func (r *Registry) session(k Key) *session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if st := r.streams[k]; st != nil && st.session != nil && !st.session.gone.Load() {
		return st.session
	}
	return nil
}

// Publishers are the names that are published now, in no order, those included of which nothing could be used yet and that
// have no timeline therefore.
func (r *Registry) Publishers() []Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	keys := make([]Key, 0, r.live)
	for key, st := range r.streams {
		if st.session != nil && !st.session.gone.Load() {
			keys = append(keys, key)
		}
	}
	return keys
}

// Disconnect sends a stream's publisher away with a reason that its encoder shows; of a ladder, those of all rungs. It returns how
// many that were. The recording goes on where one of them returns within its grace.
func (r *Registry) Disconnect(k Key, why error) (sent int) {
	for _, key := range r.members(k) {
		s := r.session(key)
		if s == nil {
			continue
		}
		sent++
		s.Close(why)
		s.a.Cancel(why)
	}
	return sent
}

// ErrRung is why a recording cannot be ended alone: it is part of a ladder's, which ends as a whole.
var ErrRung = errors.New("the stream is a rung of a ladder")

// End makes the newest recording of a stream or of a ladder final, and sends its publishers away with a reason, since what they
// send from then on belongs to another recording. It returns the recording's id: empty where there is none that has not ended. The
// error is ErrRung or nil.
func (r *Registry) End(k Key, why error) (RecordingID, error) {
	now, l := r.o.Now(), r.ladders.ladder(k)
	if m := r.ladders.byRung(k); l == nil && m != nil && m.l.onAir() {
		return "", fmt.Errorf("%w: end %s instead", ErrRung, m.l.key)
	}
	var ended RecordingID
	t := r.current(k)
	if t != nil && t.Snapshot().Whole().State != Ended {
		ended = t.id
	}
	if l == nil && t != nil {
		t.stop(now, false) // before its publisher can be back, which would go on with it
	}
	r.Disconnect(k, why)
	if l != nil {
		for _, key := range r.members(k) {
			if c := r.current(key); c != nil {
				c.stop(now, false)
			}
		}
		l.conclude(now)
	}
	return ended, nil
}

// Yield lets go of a stream's recording, since another server has the stream now: it ends here without an end in its playlists, and is no
// stream's newest for viewers any more. Its publisher is sent away with a reason. A rung's ladder goes on with the others; of a ladder all that
// is in it is let go of. Yield returns the recording's id; empty where there is none that has not ended.
func (r *Registry) Yield(k Key, why error) (id RecordingID) {
	now, l := r.o.Now(), r.ladders.ladder(k)
	if l != nil {
		id = l.yield(now)
	} else if t := r.current(k); t != nil && t.yield(now) { // before its publisher can be back, which would go on with it
		id = t.id
	}
	r.Disconnect(k, why)
	return id
}

// yield lets go of what the ladder records, but for what stands outside. The ladder is ready for another recording then.
func (l *presentation) yield(now time.Time) (id RecordingID) {
	l.mu.Lock()
	show, audio := l.show, l.audio
	var inside []*Timeline
	for _, m := range l.rungs {
		if m.c != nil && m.place.Out() == "" {
			inside = append(inside, m.c.t)
		}
	}
	l.mu.Unlock()
	if show == nil {
		return ""
	}
	id = show.t.id
	for _, t := range inside {
		t.yield(now)
	}
	if audio != nil {
		audio.t.yield(now)
	} else if t := l.r.current(Key{l.key.App, l.key.Stream + AudioSuffix}); l.o.Audio && t != nil && t.id == id {
		t.yield(now)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.show == show {
		l.reset()
	}
	show.yield(now)
	l.log.Info("ladder goes on elsewhere", "recording", id)
	return id
}

// Why there is no ad break.
var (
	ErrNotLive  = errors.New("nothing is on the air")
	ErrCueRuns  = cue.ErrRunning
	ErrCueShort = errors.New("an ad break lasts from a second to a day")
)

// Cue orders an ad break of a planned duration, which begins with the next segment, in all rungs of a ladder alike. It returns that
// segment's number. The error is ErrNotLive, ErrCueRuns, ErrCueShort, or ErrRung: a rung has the breaks of its ladder.
func (r *Registry) Cue(k Key, id string, lasts time.Duration) (number uint64, err error) {
	if lasts < time.Second || lasts > 24*time.Hour {
		return 0, ErrCueShort
	}
	if whole := r.within(k); whole != (Key{}) {
		return 0, fmt.Errorf("%w: cue %s instead", ErrRung, whole)
	}
	lines, release := r.written(k)
	defer release()
	lines = slices.DeleteFunc(lines, func(t *Timeline) bool { return t.rows.state != Live && t.rows.state != Stalled })
	if len(lines) == 0 {
		return 0, ErrNotLive
	}
	for _, t := range lines {
		if t.rows.table.cues.Busy() {
			return 0, ErrCueRuns
		}
		if number = max(number, t.rows.next()); t.rows.writing {
			number = max(number, t.rows.opened+1)
		}
	}
	for _, t := range lines {
		err = errors.Join(err, t.rows.table.cues.Order(cue.Break{ID: id, Number: number, Duration: lasts}))
	}
	return number, err
}

// Why there is no timed metadata, besides ErrNotLive and ErrRung.
var (
	ErrTag     = errors.New("it is no ID3 tag that can be carried")
	ErrTagFast = fmt.Errorf("a stream takes %d tags in a second", id3.PerSecond)
	ErrTagFull = id3.ErrFull
)

// TagPlace is where timed metadata stands in a stream.
type TagPlace struct {
	// At is when it is to be shown, on the wall clock of the playlists; zero where Deferred is set.
	At time.Time
	// Deferred says that the program does not announce metadata yet: the tag is shown where the segment Sequence begins, the first
	// that announces it.
	Deferred bool
	Sequence uint64
}

// Metadata puts a whole ID3v2.4 tag into a stream where the next access unit is; into all rungs of a ladder and its audio-only
// variant, at one media time. The tag must not be changed afterwards. The error is ErrNotLive, ErrTag, ErrTagFast, ErrTagFull, or
// ErrRung: a rung has the metadata of its ladder.
func (r *Registry) Metadata(k Key, tag []byte) (TagPlace, error) {
	if err := id3.Check(tag); err != nil {
		return TagPlace{}, fmt.Errorf("%w: %w", ErrTag, err)
	}
	if whole := r.within(k); whole != (Key{}) {
		return TagPlace{}, fmt.Errorf("%w: send it to %s instead", ErrRung, whole)
	}
	lines, release := r.written(k)
	defer release()
	lines = slices.DeleteFunc(lines, func(t *Timeline) bool { return t.rows.state > Live || t.pack.open == nil })
	if len(lines) == 0 {
		return TagPlace{}, ErrNotLive
	}
	if slices.ContainsFunc(lines, func(t *Timeline) bool { return t.pack.tags.Len() >= id3.MaxWaiting }) {
		return TagPlace{}, ErrTagFull
	}
	if !r.paced(k) {
		return TagPlace{}, ErrTagFast
	}
	o, place := placeTag(lines)
	for o.Tag = tag; len(lines) > 0; lines = lines[1:] {
		_ = lines[0].pack.tags.Add(o) // there is room, as was seen above
	}
	return place, nil
}

// placeTag finds the place of a tag in timelines that go on beside each other. Their locks are held.
func placeTag(lines []*Timeline) (o id3.Order, place TagPlace) {
	var first *draft // the one that has got furthest
	for _, t := range lines {
		d := t.pack.open
		place.Deferred = place.Deferred || !t.pack.announced
		place.Sequence = max(place.Sequence, d.Number+1)
		if first == nil || !t.pack.sound && d.at+d.lasts > first.at+first.lasts {
			first = d
		}
	}
	if place.Deferred {
		return id3.Order{From: place.Sequence, Begin: true}, place
	}
	o.At = first.at + max(first.lasts, 1)
	wall := first.Wall
	for _, t := range lines {
		if c, ok := t.keeper.(*recording); ok && t.pack.open == first {
			wall = c.told(&first.Segment)
		}
	}
	return o, TagPlace{At: wall.Add(cut.Duration(o.At - first.Start))}
}

// paced counts a tag, and reports whether the stream may be given it now.
func (r *Registry) paced(k Key) bool {
	now := r.o.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.streams[k]
	return st != nil && st.tags.Take(now)
}

// within returns the ladder on the air that a stream is a rung or the audio-only variant of, or the zero Key if there is none.
func (r *Registry) within(k Key) (ladder Key) {
	if r.ladders.ladder(k) != nil {
		return Key{}
	}
	if m := r.ladders.byRung(k); m != nil && m.l.onAir() && m.problem() == "" {
		return m.l.key
	}
	if name, ok := strings.CutSuffix(k.Stream, AudioSuffix); ok {
		if l := r.ladders.ladder(Key{k.App, name}); l != nil && l.o.Audio && l.onAir() {
			return l.key
		}
	}
	return Key{}
}

// written returns what a stream writes now; of a ladder what all rungs write that are in it, best first, and last its audio-only
// variant. All are held until release, so that none goes past the place that is found for all. No publisher waits for more than
// another's frame: nobody takes the lock of one rung while he holds that of another, and the audio-only variant is last, as it always is.
func (r *Registry) written(k Key) (lines []*Timeline, release func()) {
	keys := r.members(k)
	if r.ladders.ladder(k) != nil {
		keys = append(keys, Key{k.App, k.Stream + AudioSuffix})
	}
	for _, key := range keys {
		t := r.current(key)
		if t == nil {
			continue
		}
		if m := r.ladders.byRung(key); m != nil && key != k && m.problem() != "" {
			continue // it has another time line, and other numbers
		}
		lines = append(lines, t)
	}
	held := slices.Clone(lines)
	for _, t := range held {
		t.mu.Lock()
	}
	lines = slices.DeleteFunc(lines, func(t *Timeline) bool { return t.rows == nil })
	return lines, func() {
		for _, t := range held {
			t.mu.Unlock()
		}
	}
}

// members are the streams of a ladder; of anything else, its own name.
func (r *Registry) members(k Key) []Key {
	l := r.ladders.ladder(k)
	if l == nil {
		return []Key{k}
	}
	keys := make([]Key, 0, len(l.names))
	for _, name := range l.names {
		keys = append(keys, Key{k.App, name})
	}
	return keys
}
