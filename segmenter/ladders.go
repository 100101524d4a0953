package segmenter

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Wildcard stands for any name in the pattern of a ladder: {"*": ["*_1080p", "*_720p"]} makes show_1080p and show_720p the
// rungs of show, and so for every name. In an app with such a pattern every stream is a rung.
const Wildcard = "*"

// AudioSuffix makes the name of a ladder's audio-only variant, which the server derives from its first rung.
const AudioSuffix = "_audio"

// ladders knows which stream is a rung of which ladder. Ladders of a pattern are made when their first rung is published.
type ladders struct {
	r *Registry

	mu     sync.Mutex
	byName map[Key]*presentation // by the ladder's name
	rungs  map[Key]*rung         // by the rung's
	behind bool                  // the apps say something else than some ladders do, which are on the air
	formed map[Key][]string      // the rungs of ladders that publishers asked for: see Form
}

// follow makes the ladders that the apps name now. One that says something else than they do is taken away as soon as it is
// idle; the new one, where its name or its rungs are the old one's, is made then.
func (l *ladders) follow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	apps := *l.r.apps.Load()
	l.behind = false
	for key, d := range l.byName {
		switch app, there := apps[key.App]; {
		case there && d.is(l.rungsOf(&app, key)) && reflect.DeepEqual(*d.o, app):
		case d.idle():
			l.remove(d)
		default:
			l.behind = true
		}
	}
	for name, app := range apps {
		for ladder, rungs := range app.Groups {
			if key := (Key{name, ladder}); ladder != Wildcard && l.byName[key] == nil {
				l.make(key, rungs, &app)
			}
		}
	}
}

// catchUp follows the apps where a ladder could not, because it or its rungs were on the air.
func (l *ladders) catchUp() {
	l.mu.Lock()
	behind := l.behind
	l.mu.Unlock()
	if behind {
		l.follow()
	}
}

// make adds a ladder, unless its name or one of its rungs is taken by what is on the air.
func (l *ladders) make(key Key, rungs []string, o *AppOptions) {
	taken := func(k Key) bool {
		_, ladder := l.byName[k]
		return ladder || l.rungs[k] != nil
	}
	if taken(key) || l.r.published(key) || slices.ContainsFunc(rungs, func(rung string) bool { return taken(Key{key.App, rung}) }) {
		l.behind = true
		return
	}
	l.add(key, rungs, o)
}

func (l *ladders) add(key Key, rungs []string, o *AppOptions) {
	d := newPresentation(l.r, key, rungs, o)
	l.byName[key] = d
	for _, rung := range rungs {
		l.rungs[Key{key.App, rung}] = d.rungs[rung]
	}
}

// ladder is the ladder of a name; nil where there is none.
func (l *ladders) ladder(key Key) *presentation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byName[key]
}

// recording is a stream's place in its ladder and the id that its new recording begins with; nil where it is in none, or
// stands outside. From then on the ladder is not idle.
func (l *ladders) recording(key Key, first time.Time, after RecordingID) (*rung, RecordingID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.rung(key); m != nil {
		if id, ok := m.recording(first, after); ok {
			return m, id
		}
	}
	return nil, ""
}

// restore takes a recovered recording into its ladder; nil where it is in none, or too late for it.
func (l *ladders) restore(c *recording, rec Recovered) *rung {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.rung(rec.Key); m != nil && m.restore(c, rec, c.rows.state == Ended) {
		return m
	}
	return nil
}

// rung is a stream's place in its ladder; nil where it is in none. The ladder of a pattern is made here. The lock is held.
func (l *ladders) rung(key Key) *rung {
	if m := l.rungs[key]; m != nil {
		return m
	}
	app, _ := l.r.app(key.App)
	name, ok := patternName(app.Groups[Wildcard], key.Stream)
	if !ok {
		return nil
	}
	if int64(len(l.byName)) >= l.r.maxStreams.Load() {
		l.forgetIdle()
	}
	l.make(Key{key.App, name}, app.rungsOf(name), &app)
	return l.rungs[key]
}

// rungsOf are the rungs of a ladder of an app, or those that a publisher asked for; nil: there is no such ladder.
func (l *ladders) rungsOf(o *AppOptions, ladder Key) []string {
	if rungs := o.rungsOf(ladder.Stream); rungs != nil {
		return rungs
	}
	return l.formed[ladder]
}

// maxFormed is how many rungs a ladder may have that a publisher asks for.
const maxFormed = 16

// Form makes streams the rungs of a ladder, best first, that no setting names: a publisher asks for it. Where the settings have something to
// say of the ladder or of one of the rungs, that counts, and nothing is done. The error is an *ingest.Refusal.
func (r *Registry) Form(k Key, rungs []string) error {
	app, ok := r.app(k.App)
	if !ok {
		return ingest.Refuse(ingest.UnknownApp, "there is no app %q", k.App)
	}
	if len(rungs) < 2 || len(rungs) > maxFormed {
		return ingest.Refuse(ingest.Unsupported, "a ladder has 2 to %d rungs, not %d", maxFormed, len(rungs))
	}
	for i, name := range rungs {
		if !ValidStream(name) || slices.Contains(rungs[:i], name) || name == k.Stream {
			return ingest.Refuse(ingest.BadName, "%q cannot name a rung of %s: give each variant's playlist a name of its own, of letters, digits, '_' and '-'", name, k.Stream)
		}
	}
	l := r.ladders
	l.mu.Lock()
	defer l.mu.Unlock()
	if app.rungsOf(k.Stream) != nil {
		return nil
	}
	for _, name := range rungs {
		if m := l.rung(Key{k.App, name}); m != nil && m.l.key != k {
			return nil
		}
	}
	if d := l.byName[k]; d != nil {
		switch {
		case d.is(rungs):
			return nil
		case !d.idle():
			return ingest.Refuse(ingest.NameTaken, "%s is on the air as a ladder of %s: end it first", k, strings.Join(d.names, ", "))
		}
		l.remove(d)
	} else if r.published(k) {
		return ingest.Refuse(ingest.NameTaken, "%s is on the air as a stream of its own: send the multivariant playlist before the media playlists, or end it first", k)
	}
	if int64(len(l.byName)) >= r.maxStreams.Load() {
		l.forgetIdle()
	}
	l.formed[k] = slices.Clone(rungs)
	for _, name := range rungs {
		r.alone(Key{k.App, name})
	}
	l.make(k, l.formed[k], &app)
	if l.byName[k] == nil {
		delete(l.formed, k)
		return ingest.Refuse(ingest.NameTaken, "a rung of %s is on the air as a stream of its own: end it first", k)
	}
	return nil
}

// rungsOf are the rungs of the ladder of a name, best first; nil where the app has no such ladder.
func (o *AppOptions) rungsOf(ladder string) (rungs []string) {
	if fixed, ok := o.Groups[ladder]; ok && ladder != Wildcard {
		return fixed
	}
	for _, p := range o.Groups[Wildcard] {
		rungs = append(rungs, strings.Replace(p, Wildcard, ladder, 1))
	}
	return rungs
}

// byRung is a stream's place in its ladder, where that is known; nil: it is in none.
func (l *ladders) byRung(key Key) *rung {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rungs[key]
}

// rung reports whether a stream is, or would be, a rung of a ladder.
func (r *Registry) rung(k Key) bool {
	r.ladders.mu.Lock()
	defer r.ladders.mu.Unlock()
	return r.ladders.rung(k) != nil
}

// LadderOf is the name of the ladder that a stream is a rung of, or the audio-only variant; false where it is in none.
func (r *Registry) LadderOf(key Key) (ladder string, ok bool) {
	if m := r.ladders.byRung(key); m != nil {
		return m.l.key.Stream, true
	}
	if name, found := strings.CutSuffix(key.Stream, AudioSuffix); found {
		if l := r.ladders.ladder(Key{key.App, name}); l != nil && l.o.Audio {
			return name, true
		}
	}
	return "", false
}

// Whole is a ladder with all that belongs to it.
type Whole struct {
	Key
	Streams []string // its rungs, best first, and last its audio-only variant
}

// Whole returns the ladder that a name is of, a rung of, or the audio-only variant of, also where nothing of it was published yet; false where
// it is of none. A rung that stands outside is of none for as long as it does.
func (r *Registry) Whole(key Key) (Whole, bool) {
	if l := r.ladders.ladder(key); l != nil {
		return l.whole(), true
	}
	if m := r.ladders.byRung(key); m != nil {
		return m.l.whole(), m.problem() == ""
	}
	app, _ := r.app(key.App)
	if name, ok := strings.CutSuffix(key.Stream, AudioSuffix); ok && app.Audio {
		if l := r.ladders.ladder(Key{key.App, name}); l != nil {
			return l.whole(), true
		}
	}
	name, ok := patternName(app.Groups[Wildcard], key.Stream)
	if !ok {
		return Whole{}, false
	}
	w := Whole{Key: Key{key.App, name}, Streams: app.rungsOf(name)}
	if app.Audio {
		w.Streams = append(slices.Clone(w.Streams), name+AudioSuffix)
	}
	return w, slices.Contains(w.Streams, key.Stream)
}

// whole is what belongs to the ladder.
func (l *presentation) whole() Whole {
	w := Whole{Key: l.key, Streams: slices.Clone(l.names)}
	if l.o.Audio {
		w.Streams = append(w.Streams, l.key.Stream+AudioSuffix)
	}
	return w
}

// alone ends the recording of a stream that nobody publishes: what comes next by its name is a rung's.
func (r *Registry) alone(k Key) {
	if t := r.current(k); t != nil && r.session(k) == nil && t.Snapshot().Whole().State != Ended {
		t.stop(r.o.Now(), false)
	}
}

// Laddered reports whether the settings of an app, or a publisher, name a stream as a ladder or a rung, and whether a pattern of theirs would make it the rung of
// some ladder.
func (r *Registry) Laddered(key Key) (named, pattern bool) {
	app, _ := r.app(key.App)
	for ladder, rungs := range app.Groups {
		if ladder == Wildcard {
			_, pattern = patternName(rungs, key.Stream)
		} else {
			named = named || ladder == key.Stream || slices.Contains(rungs, key.Stream)
		}
	}
	r.ladders.mu.Lock()
	defer r.ladders.mu.Unlock()
	named = named || r.ladders.formed[key] != nil
	if m := r.ladders.rungs[key]; m != nil {
		named = named || r.ladders.formed[m.l.key] != nil
	}
	return named, pattern
}

// forgetIdle drops ladders of patterns that have no recording.
func (l *ladders) forgetIdle() {
	for key, d := range l.byName {
		app, _ := l.r.app(key.App)
		if _, fixed := app.Groups[key.Stream]; !fixed && d.idle() {
			l.remove(d)
		}
	}
}

func (l *ladders) remove(d *presentation) {
	delete(l.byName, d.key)
	delete(l.formed, d.key)
	for _, rung := range d.names {
		delete(l.rungs, Key{d.key.App, rung})
	}
}

// patternName is what the wildcard stands for in a stream name that fits one of the patterns.
func patternName(patterns []string, stream string) (string, bool) {
	for _, p := range patterns {
		before, after, ok := strings.Cut(p, Wildcard)
		if ok && len(stream) > len(before)+len(after) && strings.HasPrefix(stream, before) && strings.HasSuffix(stream, after) {
			if name := stream[len(before) : len(stream)-len(after)]; ValidStream(name) {
				return name, true
			}
		}
	}
	return "", false
}

func (l *ladders) all() []*presentation {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*presentation, 0, len(l.byName))
	for _, d := range l.byName {
		all = append(all, d)
	}
	return all
}

// refusal says why a name may not be published, in an app with ladders; empty where it may.
func (l *ladders) refusal(key Key) string {
	app, _ := l.r.app(key.App)
	if d := l.ladder(key); d != nil {
		return key.String() + " is the name of a ladder: publish its rungs, " + strings.Join(d.names, ", ")
	}
	patterns := app.Groups[Wildcard]
	if len(patterns) > 0 && l.byRung(key) == nil { // it may be one of a ladder on the air that the app no longer names
		if _, ok := patternName(patterns, key.Stream); !ok {
			return "streams of app " + key.App + " are the rungs of ladders: publish " + key.Stream + strings.Join(trimmed(patterns), " or "+key.Stream)
		}
	}
	if name, ok := strings.CutSuffix(key.Stream, AudioSuffix); ok && app.Audio && l.ladder(Key{key.App, name}) != nil {
		return key.String() + " is made by the server from the ladder's first rung"
	}
	return ""
}

func trimmed(patterns []string) []string {
	out := slices.Clone(patterns)
	for i := range out {
		out[i] = strings.Replace(out[i], Wildcard, "", 1)
	}
	return out
}

// RungState is a ladder's rung as an operator sees it.
type RungState struct {
	Stream string
	State  string // one of RungIn, RungAway, RungWaiting, RungOutside
	Reason string // why it stands outside; else empty
}

// The states of a rung.
const (
	RungIn      = "in"      // viewers are offered it
	RungAway    = "away"    // it has been in, and what comes at its numbers now are gaps, or nothing
	RungWaiting = "waiting" // nothing of it has been listed yet
	RungOutside = "outside" // it does not fit to the others, and is a stream on its own for the rest of the recording
)

// Rungs are the rungs of a ladder, best first; nil where there is no ladder of the name.
func (r *Registry) Rungs(k Key) []RungState {
	l := r.ladders.ladder(k)
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	newest := l.grid.NextNumber()
	list := make([]RungState, 0, len(l.names))
	for _, name := range l.names {
		m, s := l.rungs[name], RungState{Stream: name, State: RungIn}
		last, listed := m.place.Last()
		switch {
		case m.place.Out() != "":
			s.State, s.Reason = RungOutside, m.place.Out()
		case m.c == nil || !listed:
			s.State = RungWaiting
		case !m.keepsUp(last, newest):
			s.State = RungAway
		}
		list = append(list, s)
	}
	return list
}
