package webhook

import (
	"math/rand/v2"
	"time"
)

// Pauses after failures: the first, and the longest.
const (
	retryFirst = time.Second
	retryMost  = 5 * time.Minute
)

// backoff returns the pause after the n-th failure in a row. A fifth of it is random, so that many do not return at once.
func backoff(n int) time.Duration {
	d := retryMost
	if n < 10 {
		d = min(retryMost, retryFirst<<max(n-1, 0))
	}
	return d - rand.N(d/5)
}

// item is an event in the queue.
type item struct {
	n uint64 // its number in the queue, in the order of events
	Event
	waiting int // number of targets that it waits for; guarded by Hooks.mu
}

// lane is what waits for one target from one stream: in order, one at a time.
type lane struct {
	name  string
	items []*item // oldest first; the first is sent next
	busy  bool    // it is being sent
	fails int     // of the first item, in a row
	due   time.Time
}

// ready reports whether the first item may be sent.
func (l *lane) ready(now time.Time) bool { return !l.busy && len(l.items) > 0 && !l.due.After(now) }

// settle removes the first item: it was accepted, or is given up.
func (l *lane) settle() {
	l.items[0] = nil
	l.items = l.items[1:]
	l.fails, l.due = 0, time.Time{}
}

// gateAfter is how many streams' events must have failed, with none accepted in between, for the fault to be the target's and not one
// event's.
const gateAfter = 3

// gate spares a target that accepts nothing: one attempt after each pause, of another stream each time, until one is accepted.
type gate struct {
	failed map[string]struct{} // lanes that failed since something was accepted
	n      int                 // failures of the target as a whole
	until  time.Time
}

func (g *gate) shut() bool { return g.n > 0 }

// failure records an attempt that says something about the target, which requests a pause of at least after.
func (g *gate) failure(lane string, now time.Time, after time.Duration) {
	if g.failed == nil {
		g.failed = map[string]struct{}{}
	}
	if len(g.failed) < gateAfter {
		g.failed[lane] = struct{}{}
	}
	if len(g.failed) < gateAfter {
		return
	}
	if g.until.After(now) { // it was in progress together with one that is counted
		if asked := now.Add(after); asked.After(g.until) {
			g.until = asked
		}
		return
	}
	g.n++
	g.until = now.Add(max(backoff(g.n), after))
}

// success opens the gate, and reports whether it was closed.
func (g *gate) success() bool {
	was := g.shut()
	*g = gate{}
	return was
}
