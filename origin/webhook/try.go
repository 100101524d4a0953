package webhook

import (
	"context"
	"fmt"
	"time"
)

// Tried is the result of a test event.
type Tried struct {
	Index int
	Host  string
	ID    string        // of the event
	Took  time.Duration // of the request
	Err   error         // nil: the target accepted it
}

// Try sends one target a webhook.test at once, bypassing the queue, and only once. Index is its place in the list that was committed last.
// An error means that there is no such target; the target's answer is in Tried.
func (h *Hooks) Try(ctx context.Context, index int) (Tried, error) {
	h.mu.Lock()
	if index < 0 || index >= len(h.targets) {
		n := len(h.targets)
		h.mu.Unlock()
		return Tried{}, fmt.Errorf("there is no webhook %d: there are %d, the first is 0", index, n)
	}
	t := h.targets[index]
	e := h.event(Test, Trial{"somebody tries whether this webhook answers"})
	j := &job{t: t, e: &item{Event: e}, url: t.URL, key: t.key}
	j.body, j.typ = t.render(&e)
	out := Tried{Index: index, Host: t.stats.Host, ID: e.ID}
	h.mu.Unlock()
	began := h.o.Now()
	out.Err = h.attempt(ctx, j)
	out.Took = h.o.Now().Sub(began)
	return out, nil
}
