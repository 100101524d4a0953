// Package loglimit is the last bound on the log: of any number of similar records it passes on the first few, and logs the number of the
// rest when they end. A part that knows of an episode logs it once by itself; this is for everything else, including what nobody thought
// of. It refuses to know what a record is about: records are similar if they have the same message about the same thing.
package loglimit

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"time"
)

// Limits of a Handler. They keep the log of an hour in which fifteen messages are provoked endlessly, in ever new names, under a megabyte
// and a half. A publisher that comes and goes every second makes a few kilobytes.
const (
	burstOne = 8               // records with one message about one thing, at once
	everyOne = 5 * time.Minute // and then one more in each such interval
	burstAll = 100             // records with one message about anything, at once
	everyAll = 15 * time.Second
	quiet    = time.Minute      // without another record, after which the number of omitted ones is logged
	again    = 10 * time.Minute // after which it is logged for an episode that goes on

	maxThings   = 64   // of a message that are distinguished; all others count as one
	maxMessages = 512  // that are distinguished
	maxValue    = 1024 // bytes of a value; a longer one is cut
)

// about reports whether an attribute says what a record is about. The port of an address does not count.
func about(key string) bool {
	return slices.Contains([]string{"app", "stream", "name", "for", "target", "rung", "remote"}, key)
}

// Handler is a slog.Handler in front of another one. It is safe for concurrent use.
type Handler struct {
	next  slog.Handler
	state *state
	thing string // what the attributes of this one are about
	group bool   // further attributes are in a group, and do not count
}

// New returns a Handler in front of next.
func New(next slog.Handler) *Handler {
	return &Handler{next: next, state: &state{root: next, messages: map[string]*message{}}}
}

// Enabled reports whether next wants records with a level.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithAttrs returns h with attributes.
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

// WithGroup returns h within a group.
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

// Expire logs, for the episodes that are over at now and those that have gone on for long, how many records were omitted. The caller runs
// it every few seconds.
func (h *Handler) Expire(now time.Time) { h.state.expire(now, false) }

// Flush does the same for all episodes, at the end.
func (h *Handler) Flush(now time.Time) {
	h.state.expire(now, true)
	h.state.expire(now, true) // what the first call has added up
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
