package httpput

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// show is a stream's name under which is sent: one sender, and those that stand by.
type show struct {
	s           *Server
	app, stream string

	mu     sync.Mutex
	inputs map[string]*input // by host
	outs   map[string]*out   // by name: the stream's own, or those of a ladder's rungs
	closed bool              // it is forgotten: look it up again
	until  time.Time         // whoever has the lock waits no longer than this for the Publisher
}

// senders are those of the show, who came first before who came later.
func (w *show) senders() []*input {
	return slices.SortedFunc(maps.Values(w.inputs), func(a, b *input) int {
		return cmp.Or(a.since.Compare(b.since), strings.Compare(a.host, b.host))
	})
}

// out is the stream of a name.
func (w *show) out(name string) *out {
	o := w.outs[name]
	if o == nil {
		o = &out{s: w.s, show: w, app: w.app, name: name, log: w.s.o.Log.With("stream", w.app+"/"+name)}
		w.outs[name] = o
	}
	return o
}

// rung is the name of the rung that a playlist is, which some encoders give it: "show_720p.m3u8" is show_720p.
func (w *show) rung(file string) string {
	return w.stream + "_" + strings.TrimPrefix(suffix(file), w.stream+"_")
}

// first is the sender whose credentials count, while there is one.
func (w *show) first() *input {
	for _, o := range w.outs {
		if o.line != nil && o.session != nil {
			return o.line.in
		}
	}
	return nil
}

func (w *show) tick(now time.Time) {
	for _, in := range w.senders() {
		in.forgetUnnamed(now)
		switch {
		case now.Sub(in.last) > in.silent():
			in.leave(errSilent)
		case in.failed == nil:
			if err := in.step(now); err != nil {
				in.failed = err // its next request is told why
				in.log.Warn("the sender is sent away", "reason", err)
				in.release(err)
			}
		}
	}
}

// drain passes on what may be now, and reports whether there is more.
func (w *show) drain(now time.Time) (more bool) {
	for _, in := range w.senders() {
		if in.failed != nil {
			continue
		}
		in.ending = true
		if err := in.step(now); err != nil {
			in.log.Warn("what the sender's playlists name could not all be passed on at the end", "reason", err)
			in.failed = err
			continue
		}
		for _, l := range in.lines {
			more = more || l.begun && l.out.line == l && l.waits()
		}
	}
	return more
}
