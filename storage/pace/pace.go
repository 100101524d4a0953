// Package pace decides how hard one store is driven: how many requests there may be at once, and how long to wait after failures. It
// refuses to know what the requests are for, and never leaves a store alone for more than a few seconds.
package pace

import (
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Pace is the pace of one store. It allows a number of requests at once that grows by one for each round of successes and halves on
// failure. After several failures in a row it closes the gate for a while: what remains is one probe every few seconds, however long the
// trouble lasts, and the first successful probe resumes everything. It is not safe for concurrent use.
type Pace struct {
	max    int
	limit  int
	good   int       // successes since the limit last changed
	halved time.Time // requests that began before it are no news

	failures int // in a row
	refusals int // those of them that are permanent; requests that were in progress together count as one
	gate     time.Time
	epoch    uint64    // rises when the store has recovered: earlier pauses no longer count
	begun    time.Time // when the last request did

	taken     bool   // it has ever accepted something
	slow      string // the only object that the store has refused, or throttled, since it last accepted anything; "" if there is none
	slowTimes int
	forbidden forbidden

	backoff storage.RetryOptions
	probe   storage.RetryOptions // after permanent failures
}

// gateAfter is the number of failures in a row after which the store, and not one request, counts as in trouble.
const gateAfter = 3

// probeEvery is the longest that a store in trouble is left alone. A probe that hangs does not delay the next one.
const probeEvery = 5 * time.Second

// throttledFirst is the shortest pause after the store asked to slow down.
const throttledFirst = time.Second

// Options of a Pace.
type Options struct {
	Workers int                  // maximum number of requests at once
	Backoff storage.RetryOptions // pauses after failures
	Probe   storage.RetryOptions // pauses while a store permanently refuses
}

// New returns the pace of a store about which nothing is known.
func New(o Options) Pace {
	return Pace{max: o.Workers, limit: max(1, o.Workers/2), backoff: o.Backoff, probe: o.Probe}
}

// Limit returns how many requests there may be at once now.
func (p *Pace) Limit() int { return p.limit }

// Epoch returns a number that rises when the store has recovered: earlier pauses no longer count.
func (p *Pace) Epoch() uint64 { return p.epoch }

// Begin records when the last request began.
func (p *Pace) Begin(at time.Time) { p.begun = at }

// Forbids reports whether any object is refused by name; only then need a caller call Took.
func (p *Pace) Forbids() bool { return p.forbidden.any() }

// Took records that the store has accepted an object.
func (p *Pace) Took(object string) { p.forbidden.allowed(object) }

// Pause returns how long an object waits after its n-th failure in a row.
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

// Allows reports whether one more request may begin while running are in progress. If not, due is when to ask again, or zero if the end of
// one of them decides.
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

// Success records that a request succeeded while running others are in progress. It reports whether an episode of failures has ended.
func (p *Pace) Success(running int) (healed bool) {
	healed = p.failures >= gateAfter || p.Gated()
	if healed {
		p.epoch++
		p.limit = min(max(p.limit, running+1), p.max) // probes that hang delay nothing
	}
	p.failures, p.refusals, p.gate, p.taken, p.slow, p.slowTimes = 0, 0, time.Time{}, true, "", 0
	p.forbidden.took()
	if p.good++; p.good >= p.limit {
		p.limit, p.good = min(p.limit+1, p.max), 0
	}
	return healed
}

// Failure records that a request for an object, which began at begun, failed. It reports whether an episode has begun.
func (p *Pace) Failure(kind storage.FailureKind, object string, begun, now time.Time) (episode bool) {
	if (kind == storage.Throttled || kind == storage.Permanent && p.taken) && (p.slow == "" || p.slow == object) && p.slowTimes < gateAfter && !p.Gated() {
		// Some stores allow few writes a second to one object, and a policy may forbid a single name. That is no reason to delay the
		// others, unless they are refused as well, or there are none.
		p.slow = object
		p.slowTimes++
		if kind == storage.Permanent {
			p.forbidden.refused(object)
		}
		return false
	}
	if kind == storage.Permanent && p.forbidden.refused(object) && !p.Gated() {
		return false // and others are accepted
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

// pauseOf returns the pause after the n-th failure. The longest pause has less randomness than the others: a store should neither be left
// alone longer than necessary, nor be asked more often.
func pauseOf(o storage.RetryOptions, n int) time.Duration {
	d := o.Backoff(n)
	if left := o.Most - d; left < o.Most/2 {
		d = o.Most - left*3/10
	}
	return d
}

// Hurry ends all pauses, but keeps what is known about the store.
func (p *Pace) Hurry() {
	if p.epoch++; p.Gated() {
		p.gate = time.Unix(0, 0) // in trouble, and the pause is over
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// forbidden holds the objects that a store refuses while it accepts others: a policy forbids their names, or something that is not an
// object has their name. A further refusal says nothing about the store.
type forbidden struct {
	fresh map[string]struct{} // refused since the store last accepted anything
	known map[string]struct{}
}

// maxForbidden bounds how many are remembered. If there are more, all are forgotten.
const maxForbidden = 1024

// refused records that an object was refused, and reports whether that was expected.
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

// took records that the store has accepted an object.
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

// any reports whether there are any.
func (f *forbidden) any() bool { return len(f.fresh)+len(f.known) > 0 }

// allowed records that the store has accepted this object, too.
func (f *forbidden) allowed(object string) {
	delete(f.fresh, object)
	delete(f.known, object)
}
