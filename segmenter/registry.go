// Package segmenter turns one publisher's frames into a recording: it cuts segments, muxes them, and publishes an
// immutable snapshot of the timeline for each change, with its playlists already rendered. The goroutine that reads the
// publisher's socket does all of this; there is none of the package's own. It refuses to do I/O of any kind, to look at
// a wall clock, and to wait for anyone who reads.
package segmenter

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/id3"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
	"github.com/hlsorigin/hlsorigin/segmenter/vitals"
)

// Registry knows every stream: who publishes it, its recording, and those that ended a short while ago. It implements
// ingest.Publisher. All methods are safe for concurrent use.
type Registry struct {
	o     Options
	apps  atomic.Pointer[map[string]AppOptions] // of o, with defaults; Reconfigure changes them
	stats Stats

	maxStreams atomic.Int64
	confirmed  atomic.Bool
	renderer   renderer
	ladders    *ladders
	relief     relief
	awaited    awaited

	// mu guards what follows. It is held for look-ups only, never while a frame is written or a playlist rendered.
	mu      sync.RWMutex
	streams map[Key]*stream
	live    int
	changed chan struct{}
	closed  bool
}

// stream is a name that can be published to. Guarded by Registry.mu.
type stream struct {
	key     Key
	session *session
	current *Timeline   // the newest recording
	past    []*Timeline // older ones whose time has not come yet

	vitals *vitals.Vitals // of its publishers; nil: it had none
	tags   id3.Pace       // of the timed metadata that it is given
}

// NewRegistry makes a registry without streams.
func NewRegistry(o Options) *Registry {
	if o.Pool == nil {
		o.Pool = new(mpegts.Pool)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Registry{o: o, streams: map[Key]*stream{}, changed: make(chan struct{})}
	r.SetMaxStreams(o.MaxStreams)
	r.confirmed.Store(o.Confirmed)
	r.ladders = &ladders{r: r, byName: map[Key]*presentation{}, rungs: map[Key]*rung{}, formed: map[Key][]string{}}
	if o.MaxMemory > 0 {
		r.relief.pool = o.Pool
	}
	r.Reconfigure(o.Apps)
	return r
}

// Reconfigure changes which apps there are, and their settings. Nothing that is on the air notices: a publisher goes on with
// what it began with, and so does a ladder, until it has ended. Who may publish is an Authorizer's to say: a publisher whose app
// is gone is not ended here.
func (r *Registry) Reconfigure(apps map[string]AppOptions) {
	full := make(map[string]AppOptions, len(apps))
	for name, app := range apps {
		full[name] = app.withDefaults()
	}
	r.apps.Store(&full)
	r.ladders.follow()
}

// SetMaxStreams changes Options.MaxStreams for publishers that come from now on; 0: 1000.
func (r *Registry) SetMaxStreams(n int) { r.maxStreams.Store(int64(cmp.Or(n, 1000))) }

// SetConfirmed changes Options.Confirmed, at once and for all recordings.
func (r *Registry) SetConfirmed(on bool) {
	r.confirmed.Store(on)
	for _, t := range r.Timelines() {
		t.setConfirmed(on)
	}
}

// Confirmed reports whether viewers wait for a store: Options.Confirmed, or what SetConfirmed has made of it.
func (r *Registry) Confirmed() bool { return r.confirmed.Load() }

// app is the settings of an app.
func (r *Registry) app(name string) (o AppOptions, ok bool) {
	o, ok = (*r.apps.Load())[name]
	return o, ok
}

// Stats are the registry's counters.
func (r *Registry) Stats() *Stats { return &r.stats }

// MemoryInUse is what all segments take, those being written and those that are still read among them, in bytes.
func (r *Registry) MemoryInUse() int64 { return r.o.Pool.InUse() }

// Publish implements ingest.Publisher. A name that is taken is refused, unless the publisher that has it is the same one
// and has been silent for TakeoverAfter: then its half-dead connection is ended and the newcomer goes on in its place.
func (r *Registry) Publish(ctx context.Context, a ingest.Announce) (ingest.Session, error) {
	s, old, err := r.enter(a)
	if err != nil {
		r.stats.Refused.Add(1)
		return nil, err
	}
	if old != nil && old.end(ingest.ErrReplaced) { // else it is ending, and has ended now
		r.stats.Takeovers.Add(1)
		old.log.Info("silent publisher replaced by its own new connection", "remote", a.Remote)
		old.a.Cancel(ingest.ErrReplaced)
	}
	s.vitals.Begin(a.Ledger) // now that the one before has listed all it had
	s.log.Info("publishing", "protocol", a.Protocol, "remote", a.Remote)
	return s, nil
}

func (r *Registry) enter(a ingest.Announce) (s, old *session, err error) {
	app, ok := r.app(a.App)
	if !ok {
		return nil, nil, ingest.Refuse(ingest.UnknownApp, "there is no app %q: add it under apps in the configuration, or publish to one that is there", a.App)
	}
	if !ValidStream(a.Stream) {
		return nil, nil, ingest.Refuse(ingest.BadName, "stream name %q is not allowed: use letters, digits, '_', '-' and '.'", a.Stream)
	}
	now := r.o.Now()
	key := Key{a.App, a.Stream}
	if why := r.ladders.refusal(key); why != "" {
		return nil, nil, ingest.Refuse(ingest.BadName, "%s", why)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, errClosed
	}
	st := r.streams[key]
	if st == nil {
		st = &stream{key: key}
	}
	if old = st.session; old != nil {
		silent := now.Sub(old.newest())
		if !old.gone.Load() && (silent < max(app.TakeoverAfter, time.Duration(old.patience.Load())) || old.a.Identity != a.Identity) {
			return nil, nil, ingest.Refuse(ingest.NameTaken, "%s is already being published from %s since %s: stop that encoder, or choose another stream name",
				key, old.a.Remote, old.since.UTC().Format(time.RFC3339))
		}
	} else if err := r.room(st.current == nil); err != nil {
		return nil, nil, err
	} else {
		r.live++
		r.stats.Publishers.Add(1)
	}
	s = &session{r: r, st: st, o: &app, a: a, since: now, log: r.o.Log.With("stream", key.String())}
	s.gather.Memory = r.o.Waiting
	s.accounts = [2]*ingest.Account{a.Ledger.Of(ingest.H264), a.Ledger.Of(ingest.AAC)}
	if st.vitals == nil {
		st.vitals = new(vitals.Vitals)
	}
	s.vitals = st.vitals
	st.session = s
	r.streams[key] = st
	return s, old, nil
}

var errClosed = ingest.Refuse(ingest.Overloaded, "the server is shutting down")

// room refuses a stream that there is no place for. anew says that it has no memory yet. r.mu is held.
func (r *Registry) room(anew bool) error {
	switch {
	case anew && r.short():
		r.stats.RefusedMemory.Add(1)
		return ingest.Refuse(ingest.Overloaded, "the server has no memory left for another stream: try again later, or another server")
	case int64(r.live) >= r.maxStreams.Load():
		return ingest.Refuse(ingest.Overloaded, "%d streams are live already, which is the limit", r.live)
	}
	return nil
}

// leave forgets a session that ended, where it has not been replaced already.
func (r *Registry) leave(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.st.session != s {
		return
	}
	s.st.session = nil
	r.live--
	r.stats.Publishers.Add(-1)
	r.forgetEmpty(s.st)
}

func (r *Registry) forgetEmpty(st *stream) {
	if st.session == nil && st.current == nil && len(st.past) == 0 {
		delete(r.streams, st.key)
	}
}

// recording gives the recording that a session writes: the current one where it has not ended, else a new one, named by
// the instant at which its first frame came.
func (r *Registry) recording(s *session, first time.Time, t cut.Tracks) *recording {
	r.mu.RLock()
	current := s.st.current
	r.mu.RUnlock()
	after := RecordingID("")
	if current != nil {
		after = current.id
		if c, ok := current.keeper.(*recording); ok && c.attach(s, first, t) {
			s.log.Info("recording goes on", "recording", current.id)
			return c
		}
		current.stop(r.o.Now(), false)
	}
	id := newRecordingID(first, after)
	m, ladder := r.ladders.recording(s.st.key, first, after)
	if m != nil {
		id = ladder
	}
	begun, _ := id.Time()
	line := &Timeline{key: s.st.key, id: id}
	c := newRecording(line, r, s.o, begun)
	if m != nil {
		c.join(m)
	}
	c.rows.snapshot()
	c.attach(s, first, t)
	r.mu.Lock()
	r.add(s.st, line)
	r.mu.Unlock()
	s.log.Info("recording begins", "recording", id)
	return c
}

// split ends a session's recording and begins the next, with another set of tracks.
func (r *Registry) split(s *session, first time.Time, t cut.Tracks) *recording {
	s.log.Info("a track came in that the recording does not have: another recording begins", "codecs", variant.Codecs(t))
	r.mu.RLock()
	current := s.st.current
	r.mu.RUnlock()
	current.stop(r.o.Now(), false)
	return r.recording(s, first, t)
}

// current is the newest recording of a name; nil where there is none.
func (r *Registry) current(key Key) *Timeline {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if st := r.streams[key]; st != nil {
		return st.current
	}
	return nil
}

// newRecordingID names a recording by its first instant, and later than the one before it even where the clock stands
// still or went back: an id is never used twice.
func newRecordingID(first time.Time, after RecordingID) RecordingID {
	id := NewRecordingID(first)
	if id <= after {
		t, _ := after.Time()
		id = NewRecordingID(t.Add(time.Millisecond))
	}
	return id
}

// adopt makes t the current timeline of a name that nobody publishes: a ladder's, or its audio variant's.
func (r *Registry) adopt(t *Timeline) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.streams[t.key]
	if st == nil {
		st = &stream{key: t.key}
		r.streams[t.key] = st
	}
	r.add(st, t)
}

// add makes t the current recording of st and tells those who wait for new ones.
func (r *Registry) add(st *stream, t *Timeline) {
	if st.current != nil {
		st.past = append(st.past, st.current)
	}
	st.current = t
	r.tell()
}

func (r *Registry) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// published reports whether a name has a publisher, or a recording of its own that has not ended.
func (r *Registry) published(key Key) bool {
	r.mu.RLock()
	st := r.streams[key]
	if st == nil {
		r.mu.RUnlock()
		return false
	}
	session, current := st.session, st.current
	r.mu.RUnlock()
	return session != nil || current != nil && !current.group && current.Snapshot().Whole().State != Ended
}

// Changed is closed when a recording begins or is restored.
func (r *Registry) Changed() <-chan struct{} {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.changed
}

// Timelines are all recordings that are still known: the current one of each stream and those that ended within
// EndedTTL, in no order. Those of ladders, which have no segments, are apart: see Ladders.
func (r *Registry) Timelines() []*Timeline { return r.timelines(false) }

// Ladders are the timelines of ladders: an Entry and an Archive that name the rungs' playlists, and a state.
func (r *Registry) Ladders() []*Timeline { return r.timelines(true) }

func (r *Registry) timelines(ladders bool) []*Timeline {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*Timeline, 0, len(r.streams))
	for _, st := range r.streams {
		if st.current != nil && st.current.group == ladders {
			all = append(all, st.current)
		}
		for _, t := range st.past { // a name may have been a stream before it was a ladder, and the other way round
			if t.group == ladders {
				all = append(all, t)
			}
		}
	}
	return all
}

// Timeline is the newest recording of a stream, live or ended; nil where there is none any more, or it was yielded.
func (r *Registry) Timeline(app, name string) *Timeline {
	if t := r.current(Key{app, name}); t != nil && !t.yielded.Load() {
		return t
	}
	return nil
}

// Recording is one recording of a stream, by its id or by the name of the timestamped playlist that grows now; nil where
// it is not known any more.
func (r *Registry) Recording(app, name string, id RecordingID) *Timeline {
	r.mu.RLock()
	defer r.mu.RUnlock()
	st := r.streams[Key{app, name}]
	if st == nil || st.current == nil {
		return nil
	}
	if st.current.named(id) {
		return st.current
	}
	for _, t := range st.past {
		if t.named(id) {
			return t
		}
	}
	return nil
}

// Expire notices what does not happen: late audio that never comes, publishers that fall silent, graces that run out. Where
// segments take more memory than they may, it makes room; where viewers wait for a store, it says so. It is called several times a second.
func (r *Registry) Expire(now time.Time) {
	r.relieve(now)
	r.await(now)
	for _, l := range r.ladders.all() {
		l.tick(now)
	}
	r.ladders.catchUp()
	for _, t := range slices.Concat(r.Timelines(), r.Ladders()) {
		if t.expire(now) {
			r.remove(t)
		}
	}
}

// remove forgets a recording, which has given its memory back.
func (r *Registry) remove(t *Timeline) {
	r.mu.Lock()
	if st := r.streams[t.key]; st != nil {
		if st.current == t {
			st.current = nil
			if n := len(st.past); n > 0 {
				st.current, st.past = st.past[n-1], st.past[:n-1]
			}
		}
		for i := range st.past {
			if st.past[i] == t {
				st.past = append(st.past[:i:i], st.past[i+1:]...)
				break
			}
		}
		r.forgetEmpty(st)
	}
	r.mu.Unlock()
}

// Close refuses further publishers. The sessions must have been closed by their servers. With end, every recording is
// ended; without, those who can wait for their publishers over a restart are left as they are.
func (r *Registry) Close(end bool) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	now := r.o.Now()
	for _, t := range r.Timelines() {
		t.stop(now, !end)
	}
	if end {
		for _, l := range r.ladders.all() {
			l.conclude(now)
		}
	}
}
