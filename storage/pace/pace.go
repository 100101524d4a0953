// Package pace decides how hard one store is driven: how many requests there may be at once, and how long to wait after failures.
// It refuses to know what the requests are for, and never leaves a store alone for more than a few seconds.
package pace

import (
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Pace is that of one store. It allows a number of requests at once that grows by one for each round of
// successes and halves on failure; after several failures in a row it closes the gate for a while, so that what is left
// is one probe every few seconds, however long the trouble lasts: by its first success all goes on. It is not safe for concurrent use.
type Pace struct {
	max    int
	limit  int
	good   int       // successes since the limit last changed
	halved time.Time // requests that began before it say nothing new

	failures int // in a row
	refusals int // of them, permanent; those that were on their way together count as one
	gate     time.Time
	epoch    uint64    // rises when the store is well again: pauses from before do not count any more
	begun    time.Time // when the last request did

	taken     bool   // it has taken something, ever
	slow      string // the only object that the store has refused, or asked a slower pace for, since it took anything; "" where there is none
	slowTimes int
	forbidden forbidden

	backoff storage.RetryOptions
	probe   storage.RetryOptions // after permanent failures
}

// gateAfter is the number of failures in a row that mean the store, and not one request, is in trouble.
const gateAfter = 3

// probeEvery is the longest that a store in trouble is left alone. A probe that hangs does not hold up the next one.
const probeEvery = 5 * time.Second

// throttledFirst is the least pause after the store asked for a slower pace.
const throttledFirst = time.Second

// Options of a Pace.
type Options struct {
	Workers int                  // requests at once, at most
	Backoff storage.RetryOptions // pauses after failures
	Probe   storage.RetryOptions // pauses while a store refuses for good
}

// New is the pace of a store of which nothing is known.
func New(o Options) Pace {
	return Pace{max: o.Workers, limit: max(1, o.Workers/2), backoff: o.Backoff, probe: o.Probe}
}

// Limit is how many requests there may be at once now.
func (p *Pace) Limit() int { return p.limit }

// Epoch rises when the store is well again: pauses from before do not count any more.
func (p *Pace) Epoch() uint64 { return p.epoch }

// Begin notes when the last request began.
func (p *Pace) Begin(at time.Time) { p.begun = at }

// Forbids reports whether anything is refused by name, so that who takes an object has a reason to call Took.
func (p *Pace) Forbids() bool { return p.forbidden.any() }

// Took notes that the store has taken an object.
func (p *Pace) Took(object string) { p.forbidden.allowed(object) }

// Pause is how long an object waits after its n-th failure in a row.
func (p *Pace) Pause(kind storage.FailureKind, n int) time.Duration {
	switch kind {
	case storage.Permanent:
		return pauseOf(p.probe, n)
	case storage.Throttled:
		return max(p.backoff.Backoff(n), throttledFirst)
	}
	return p.backoff.Backoff(n)
}

// Gated reports whether the store is in trouble, so that requests are probes.
func (p *Pace) Gated() bool { return !p.gate.IsZero() }

// Allows reports whether one more request may begin while so many are on their way; if not, due is when that is to be asked
// again: zero where the end of one of them decides.
func (p *Pace) Allows(running int, now time.Time) (ok bool, due time.Time) {
	if p.gate.After(now) {
		return false, p.gate
	}
	if running < p.limit {
		return true, due
	}
	if !p.Gated() || running >= p.max {
		return false, due
	}
	due = p.begun.Add(probeEvery)
	return !due.After(now), due
}

// Success notes that a request succeeded while so many others are on their way. It tells whether an episode of failures has
// ended.
func (p *Pace) Success(running int) (healed bool) {
	healed = p.failures >= gateAfter || p.Gated()
	if healed {
		p.epoch++
		p.limit = min(max(p.limit, running+1), p.max) // probes that hang hold up nothing
	}
	p.failures, p.refusals, p.gate, p.taken, p.slow, p.slowTimes = 0, 0, time.Time{}, true, "", 0
	p.forbidden.took()
	if p.good++; p.good >= p.limit {
		p.limit, p.good = min(p.limit+1, p.max), 0
	}
	return healed
}

// Failure notes a request for an object that began at begun and failed. It tells whether an episode has begun.
func (p *Pace) Failure(kind storage.FailureKind, object string, begun, now time.Time) (episode bool) {
	if (kind == storage.Throttled || kind == storage.Permanent && p.taken) && (p.slow == "" || p.slow == object) && p.slowTimes < gateAfter && !p.Gated() {
		// Some stores allow one object few writes a second, and a policy may forbid one name alone. That is no reason to
		// hold up the others, unless they are refused as well, or there are none.
		p.slow = object
		p.slowTimes++
		if kind == storage.Permanent {
			p.forbidden.refused(object)
		}
		return false
	}
	if kind == storage.Permanent && p.forbidden.refused(object) && !p.Gated() {
		return false // and others are taken
	}
	p.failures++
	news := begun.After(p.halved) || p.halved.IsZero()
	if news {
		p.limit, p.good, p.halved = max(1, p.limit/2), 0, now
	}
	switch {
	case kind == storage.Permanent:
		episode = p.gate.IsZero()
		if news || p.refusals == 0 {
			p.refusals++
		}
		p.gate = later(p.gate, now.Add(pauseOf(p.probe, p.refusals)))
	case kind == storage.Throttled:
		episode = p.gate.IsZero()
		p.gate = later(p.gate, now.Add(max(throttledFirst, pauseOf(p.backoff, p.failures))))
	case p.failures >= gateAfter:
		episode = p.failures == gateAfter
		p.gate = later(p.gate, now.Add(pauseOf(p.backoff, p.failures-gateAfter+1)))
	}
	if p.failures >= gateAfter || kind == storage.Permanent {
		p.limit = 1
	}
	return episode
}

// pauseOf is the pause after the n-th failure. Of the longest, less is left to chance than of the others: a store is neither
// left alone for longer than need be, nor asked more often.
func pauseOf(o storage.RetryOptions, n int) time.Duration {
	d := o.Backoff(n)
	if left := o.Most - d; left < o.Most/2 {
		d = o.Most - left*3/10
	}
	return d
}

// Hurry ends all pauses, and leaves what is known of the store.
func (p *Pace) Hurry() {
	if p.epoch++; p.Gated() {
		p.gate = time.Unix(0, 0) // in trouble, and over
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// forbidden are the objects that a store was seen to refuse while it takes others: a policy forbids their names, or something
// that is no object has them. That they are refused again says nothing about the store.
type forbidden struct {
	fresh map[string]struct{} // refused since the store took anything
	known map[string]struct{}
}

// maxForbidden bounds how many are remembered. Of more, all are forgotten.
const maxForbidden = 1024

// refused notes that an object was refused, and reports whether that was to be expected.
func (f *forbidden) refused(object string) bool {
	if _, ok := f.known[object]; ok {
		return true
	}
	if f.fresh == nil || len(f.fresh) >= maxForbidden {
		f.fresh = map[string]struct{}{}
	}
	f.fresh[object] = struct{}{}
	return false
}

// took notes that the store has taken an object.
func (f *forbidden) took() {
	if len(f.fresh) == 0 {
		return
	}
	if f.known == nil || len(f.known)+len(f.fresh) > maxForbidden {
		f.known = map[string]struct{}{}
	}
	for object := range f.fresh {
		f.known[object] = struct{}{}
	}
	clear(f.fresh)
}

// any reports whether there is one.
func (f *forbidden) any() bool { return len(f.fresh)+len(f.known) > 0 }

// allowed notes that the store has taken this object, too.
func (f *forbidden) allowed(object string) {
	delete(f.fresh, object)
	delete(f.known, object)
}
