package httpput

import (
	"cmp"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// input is one sender. Guarded by show.mu.
type input struct {
	show *show
	s    *Server
	sender
	remote string // its address with the port of its first connection
	grant  ingest.Grant
	log    *slog.Logger

	files    map[string]*file // segments that wait, by name
	lines    map[string]*line // media playlists, by name
	variants []variant        // of the multivariant playlist; nil: none has come
	since    time.Time        // when it was heard of first
	last     time.Time        // when it was heard of last
	failed   error            // why it was sent away while it did not ask
	ending   bool             // the server ends: nothing is waited for any more

	awaited bool              // what another process held of it was taken up, and it has not come yet
	listed  map[string]uint32 // what that process had passed on just before it ended: checksums by name
}

// playlist takes a playlist in.
func (in *input) playlist(name string, p *playlist, variants []variant, now time.Time) error {
	if variants != nil {
		return in.multivariant(variants, now)
	}
	if p == nil {
		return nil
	}
	l := in.lines[name]
	if l == nil {
		if len(in.lines) >= maxLines {
			return ingest.Refuse(ingest.Unsupported, "the stream has more than %d media playlists", maxLines)
		}
		l = newLine(in, name, now)
		in.lines[name] = l
	}
	if !in.isVariant(name) {
		return ingest.Refuse(ingest.Unsupported, "the multivariant playlist does not name this playlist as a variant: sound or subtitles in playlists of their own are not carried, let the encoder put the sound into each variant")
	}
	if err := l.take(p, now); err != nil {
		return cmp.Or(in.step(now), err)
	}
	return in.step(now)
}

// maxLines bounds the media playlists of a sender.
const maxLines = 32

// isVariant reports whether a playlist may be fed from: the multivariant playlist, if there is one, names it.
func (in *input) isVariant(name string) bool {
	if in.variants == nil {
		return true
	}
	for _, v := range in.variants {
		if v.file == name {
			return true
		}
	}
	return false
}

// multivariant takes a multivariant playlist in, which counts for what has not begun.
func (in *input) multivariant(variants []variant, now time.Time) error {
	if len(variants) > 1 && in.variants == nil {
		in.log.Info("a multivariant playlist came: its variants are the rungs of a ladder", "variants", len(variants))
	}
	slices.SortStableFunc(variants, func(a, b variant) int { return b.bandwidth - a.bandwidth })
	before := in.variants
	in.variants = variants
	if err := in.form(); err != nil {
		in.variants = before
		return err
	}
	return in.step(now)
}

// segment takes a segment in.
func (in *input) segment(name string, f *file, now time.Time) error {
	if err := in.keep(name, f); err != nil {
		return err
	}
	if in.standsBy() {
		f.release(false)
	}
	return in.step(now)
}

// decide finds what a media playlist feeds; false: that is not known yet.
func (in *input) decide(l *line, now time.Time) bool {
	if l.out != nil {
		return true
	}
	w := in.show
	rung := w.rung(l.file)
	i := slices.IndexFunc(in.variants, func(v variant) bool { return v.file == l.file })
	switch {
	case i >= 0 && len(in.variants) > 1:
		l.out = w.out(in.rungs()[i])
		return true
	case i >= 0:
	case in.variants == nil && in.s.o.Rung != nil && in.s.o.Rung(w.app, rung):
		l.out = w.out(rung)
		return true
	case now.Sub(l.first) < in.settle():
		return false
	case in.variants == nil && now.Sub(l.first) < l.patience() && (in.s.arriving(w, in.host) || in.unnamed(true) != ""):
		return false // another rendition is on its way
	case len(in.lines) > 1 && in.variants == nil && !in.begun():
		if now.Sub(l.first) < 3*in.settle() {
			return false // a multivariant playlist may still say what they are
		}
		if in.guess() {
			return in.decide(l, now)
		}
	}
	l.out = w.out(w.stream)
	return true
}

// settle is Options.Settle, while there is time for that.
func (in *input) settle() time.Duration {
	if in.ending {
		return 0
	}
	return in.s.o.Settle
}

// begun reports whether something has been passed on.
func (in *input) begun() bool {
	for _, l := range in.lines {
		if l.begun {
			return true
		}
	}
	return false
}

// guess takes several media playlists without a multivariant one for the rungs of a ladder: such encoders send that once, and it may have
// been before this server listened. Larger segments are the better rung. It reports whether it may be so.
func (in *input) guess() bool {
	size := func(l *line) (n int) {
		for _, e := range l.entries {
			if f := in.files[e.file]; f != nil {
				n = max(n, len(f.segment.packets))
			}
		}
		return n
	}
	var all []variant
	for _, name := range in.names() {
		all = append(all, variant{file: name, bandwidth: size(in.lines[name])})
	}
	slices.SortStableFunc(all, func(a, b variant) int { return b.bandwidth - a.bandwidth })
	in.log.Warn("the sender has several media playlists and no multivariant playlist: they are taken for the rungs of a ladder", "playlists", len(all))
	in.variants = all
	if err := in.form(); err != nil {
		in.log.Warn("they cannot be the rungs of a ladder", "reason", err)
		in.variants = nil
		return false
	}
	return true
}

// form makes the variants the rungs of a ladder, if there are several.
func (in *input) form() error {
	if len(in.variants) < 2 {
		return nil
	}
	for _, name := range in.rungs() {
		if in.s.o.Rung != nil && in.s.o.Rung(in.show.app, name) { // who set that up has said what it is; who may feed it is asked then
			continue
		}
		if err := in.mayFeed(name); err != nil {
			return err
		}
	}
	if in.s.o.Form == nil {
		return nil
	}
	return in.s.o.Form(in.show.app, in.show.stream, in.rungs())
}

// mayFeed refuses a rung whose name is a stream that somebody else has the key of.
func (in *input) mayFeed(name string) error {
	if in.s.o.Keyed != nil && name != in.grant.Stream && in.s.o.Keyed(in.show.app, name) {
		return ingest.Refuse(ingest.Unauthorized, "the rung %s has a key of its own, which this sender has not: give the variant's playlist another name, or take that key out of the configuration", name)
	}
	return nil
}

// rungs are the names of the ladder's rungs, in the order of the variants.
func (in *input) rungs() (names []string) {
	for _, v := range in.variants {
		names = append(names, in.show.rung(v.file))
	}
	return names
}

// suffix is what a rung's name ends with, from the name of its playlist: "720p/index.m3u8" and "index_720p.m3u8" are both of 720p.
func suffix(file string) string {
	s := strings.TrimSuffix(file, path.Ext(file))
	for _, common := range []string{"index", "playlist", "stream", "media", "chunklist", "live"} {
		if t, ok := strings.CutSuffix(s, "/"+common); ok {
			s = t
		}
		if t, ok := strings.CutPrefix(s, common); ok && strings.Trim(t, "_-.") != "" {
			s = strings.TrimLeft(t, "_-.")
		}
	}
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, s)
	return s
}

// silent is how long a sender may be silent.
func (in *input) silent() time.Duration {
	if in.awaited {
		return HeldFor
	}
	wait := in.s.o.IdleTimeout
	for _, l := range in.lines {
		wait = max(wait, 3*time.Duration(l.longest)*time.Second)
	}
	return wait
}

// step passes on what can be. The error is a *fatal.
func (in *input) step(now time.Time) error {
	for _, o := range in.show.outs {
		if o.line != nil && o.line.in == in {
			if cause := o.cancelled(); cause != nil {
				return &fatal{cause}
			}
		}
	}
	for _, name := range in.names() {
		if err := in.lines[name].step(now); err != nil {
			return &fatal{err}
		}
	}
	return nil
}

// names are those of the playlists, in an order of their own.
func (in *input) names() []string {
	names := make([]string, 0, len(in.lines))
	for name := range in.lines {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// leave ends a sender, and the streams that it feeds, unless another stands by.
func (in *input) leave(cause error) {
	in.release(cause)
	in.show.inputs = slices.DeleteFunc(in.show.inputs, func(other *input) bool { return other == in })
}

// release ends the streams that a sender feeds, unless another stands by, and lets go of what it sent.
func (in *input) release(cause error) {
	w := in.show
	if in.awaited && len(in.files) > 0 && cause == errSilent {
		in.log.Warn("the sender of segments that were held when the last process ended has not come back: they are given up", "segments", len(in.files))
	}
	for name, f := range in.files {
		count := &in.s.Stats.Unnamed
		if cause == ingest.ErrShutdown && f.done != nil {
			f.done, count = nil, nil // the next process takes it up
		}
		in.discard(name, count)
	}
	clear(in.lines)
	for name, o := range w.outs {
		if o.line == nil || o.line.in != in {
			continue
		}
		o.line = nil
		if o.cancelled() == nil && w.relief(o) {
			continue
		}
		o.close(cause)
		delete(w.outs, name)
		for _, other := range w.inputs {
			for _, l := range other.lines {
				if l.out == o {
					l.reset()
				}
			}
		}
	}
}
