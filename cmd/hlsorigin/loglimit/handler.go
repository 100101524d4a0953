// Package loglimit is the last bound on the log: of any number of like records it passes the first few on, and says the number
// of the rest when they end. What a part knows to be one episode it says once by itself; this is for all others, and for those
// that nobody thought of. It refuses to know what a record is about: like are those with the same message about the same thing.
package loglimit

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"time"
)

// Limits of a Handler. They hold the log of an hour in which fifteen messages are provoked without end, in ever other names,
// under a megabyte and a half; a publisher that comes and goes with every second makes a few kilobytes.
const (
	burstOne = 8               // records with one message about one thing, at once
	everyOne = 5 * time.Minute // and then one more in each of these
	burstAll = 100             // records with one message about whatever, at once
	everyAll = 15 * time.Second
	quiet    = time.Minute      // without a further one, after which the number of those that were left out is said
	again    = 10 * time.Minute // after which it is said of an episode that goes on

	maxThings   = 64   // of a message that are told apart; all others are one
	maxMessages = 512  // that are told apart
	maxValue    = 1024 // bytes of a value; a longer one is cut
)

// about are the attributes that say what a record is about. Of an address with a port the port does not count.
func about(key string) bool {
	return slices.Contains([]string{"app", "stream", "name", "for", "target", "rung", "remote"}, key)
}

// Handler is a slog.Handler in front of another one. It may be used from anywhere, at any time.
type Handler struct {
	next  slog.Handler
	state *state
	thing string // what the attributes of this one are about
	group bool   // further attributes are in a group, and say nothing
}

// New makes a Handler in front of next.
func New(next slog.Handler) *Handler {
	return &Handler{next: next, state: &state{root: next, messages: map[string]*message{}}}
}

// Enabled reports whether next wants records of a level.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithAttrs is h with attributes.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	d := *h
	kept := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		kept[i] = cut(a)
		if !h.group {
			d.thing = join(d.thing, a)
		}
	}
	d.next = h.next.WithAttrs(kept)
	return &d
}

// WithGroup is h within a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	d := *h
	d.next, d.group = h.next.WithGroup(name), true
	return &d
}

// Handle passes r on, or counts it.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	thing, long := h.thing, len(r.Message) > maxValue
	r.Attrs(func(a slog.Attr) bool {
		if !h.group {
			thing = join(thing, a)
		}
		long = long || tooLong(a)
		return true
	})
	if !h.state.take(thing, r) {
		return nil
	}
	if long {
		r = shortened(r)
	}
	return h.next.Handle(ctx, r)
}

// Expire says of the episodes that are over at now, and of those that go on for long, how many records were left out. Somebody
// calls it every few seconds.
func (h *Handler) Expire(now time.Time) { h.state.expire(now, false) }

// Flush says it of all episodes, at the end.
func (h *Handler) Flush(now time.Time) {
	h.state.expire(now, true)
	h.state.expire(now, true) // what the first has added up
}

// join adds to what a record is about.
func join(thing string, a slog.Attr) string {
	if !about(a.Key) {
		return thing
	}
	v := a.Value.Resolve().String()
	if host, _, err := net.SplitHostPort(v); err == nil && a.Key == "remote" {
		v = host
	}
	if thing != "" {
		thing += " "
	}
	return thing + v[:min(len(v), maxValue)]
}
