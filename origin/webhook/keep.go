package webhook

import (
	"context"
	"errors"
	"time"
)

// errFull means that more events came at once than the queue takes.
var errFull = errors.New("the queue of webhooks is full")

// Keep emits an event under an ID of the caller's, and returns when it is in the queue: on disk, where there is one. So who emits it again
// after an error, or a crash, has it sent at least once, and its receivers see one ID.
func (h *Hooks) Keep(ctx context.Context, id, typ string, at time.Time, d Data) error {
	h.inbox.mu.Lock()
	e := Event{ID: id, Type: typ, Time: at.UTC().Truncate(time.Millisecond), Lane: d.lane()}
	e.Body = body(e.ID, typ, e.Time, d)
	h.feed.publish(e)
	if !h.wanted(typ) {
		h.inbox.mu.Unlock()
		return nil
	}
	n := h.enqueue(e)
	h.inbox.mu.Unlock()
	if n == 0 {
		return errFull
	}
	for {
		h.mu.Lock()
		written, failing, wrote := h.kept >= n, !h.disk.failing.IsZero(), h.keeping
		h.mu.Unlock()
		switch {
		case written && failing:
			return errors.New("the queue of webhooks cannot be written now")
		case written:
			return nil
		}
		select {
		case <-wrote:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
