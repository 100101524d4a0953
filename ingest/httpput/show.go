package httpput

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// show is a stream's name under which is sent: one sender, and those that stand by.
type show struct {
	s           *Server
	app, stream string

	mu     sync.Mutex
	inputs []*input
	outs   map[string]*out // by name: the stream's own, or those of a ladder's rungs
	closed bool            // it is forgotten: look it up again
	until  time.Time       // whoever has the lock waits no longer than this for the Publisher
}

// senders are those of the show, who came first before who came later.
func (w *show) senders() []*input {
	return slices.SortedStableFunc(slices.Values(w.inputs), func(a, b *input) int { return a.since.Compare(b.since) })
}

// sender finds a sender; nil: it is new. Encoders name their user in some addresses and not in others: who names none is the same as who does.
func (w *show) sender(from sender) *input {
	var like *input
	for _, in := range w.senders() {
		switch {
		case in.host != from.host:
		case in.user == from.user:
			return in
		case like == nil && (in.user == "" || from.user == ""):
			like = in
		}
	}
	if like != nil && like.user == "" {
		like.user = from.user
	}
	return like
}

// enter adds a sender.
func (w *show) enter(from sender, remote string, grant ingest.Grant, now time.Time) *input {
	in := &input{
		show: w, s: w.s, since: now, last: now, sender: from, remote: remote, grant: grant, log: w.s.log.With("stream", w.app+"/"+w.stream, "remote", from.host),
		files: map[string]*file{}, lines: map[string]*line{},
	}
	w.inputs = append(w.inputs, in)
	return in
}

// heard is how many senders have sent something to this process.
func (w *show) heard() (n int) {
	for _, in := range w.inputs {
		if !in.awaited {
			n++
		}
	}
	return n
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
