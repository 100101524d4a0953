package segmenter

import (
	"slices"
	"strings"
	"sync"
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
}

func newLadders(r *Registry) *ladders {
	l := &ladders{r: r, byName: map[Key]*presentation{}, rungs: map[Key]*rung{}}
	for name, app := range r.o.Apps {
		for ladder, rungs := range app.Groups {
			if ladder != Wildcard {
				l.add(Key{name, ladder}, rungs, &app)
			}
		}
	}
	return l
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

// rung is a stream's place in its ladder; nil where it is in none. The ladder of a pattern is made here.
func (l *ladders) rung(key Key) *rung {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.rungs[key]; m != nil {
		return m
	}
	app := l.r.o.Apps[key.App]
	name, ok := patternName(app.Groups[Wildcard], key.Stream)
	if !ok {
		return nil
	}
	var rungs []string
	for _, p := range app.Groups[Wildcard] {
		rungs = append(rungs, strings.Replace(p, Wildcard, name, 1))
	}
	if len(l.byName) >= l.r.o.MaxStreams {
		l.forgetIdle()
	}
	l.add(Key{key.App, name}, rungs, &app)
	return l.rungs[key]
}

// byRung is a stream's place in its ladder, where that is known; nil: it is in none.
func (l *ladders) byRung(key Key) *rung {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rungs[key]
}

// forgetIdle drops ladders of patterns that have no recording.
func (l *ladders) forgetIdle() {
	for key, d := range l.byName {
		if _, fixed := l.r.o.Apps[key.App].Groups[key.Stream]; !fixed && d.idle() {
			delete(l.byName, key)
			for _, rung := range d.names {
				delete(l.rungs, Key{key.App, rung})
			}
		}
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
	app := l.r.o.Apps[key.App]
	if d := l.ladder(key); d != nil {
		return key.String() + " is the name of a ladder: publish its rungs, " + strings.Join(d.names, ", ")
	}
	patterns := app.Groups[Wildcard]
	if len(patterns) > 0 {
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
