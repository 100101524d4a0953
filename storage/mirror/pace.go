package mirror

import (
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// pace decides how hard one store is driven. It allows a number of requests at once that grows by one for each round of
// successes and halves on failure; after several failures in a row it closes the gate for a while, so that what is left
// is one probe every few seconds, however long the trouble lasts: by its first success all goes on. Guarded by Uploader.mu.
type pace struct {
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

func newPace(o *Options) pace {
	return pace{
		max: o.Workers, limit: max(1, o.Workers/2),
		backoff: storage.RetryOptions{First: o.RetryMin, Most: o.RetryMax},
		probe:   storage.RetryOptions{First: o.ProbeMin, Most: o.ProbeMax},
	}
}

// gated reports whether the store is in trouble, so that requests are probes.
func (p *pace) gated() bool { return !p.gate.IsZero() }

// allows reports whether one more request may begin while so many are on their way; if not, due is when that is to be asked
// again: zero where the end of one of them decides.
func (p *pace) allows(running int, now time.Time) (ok bool, due time.Time) {
	if p.gate.After(now) {
		return false, p.gate
	}
	if running < p.limit {
		return true, due
	}
	if !p.gated() || running >= p.max {
		return false, due
	}
	due = p.begun.Add(probeEvery)
	return !due.After(now), due
}

// success notes that a request succeeded while so many others are on their way. It tells whether an episode of failures has
// ended.
func (p *pace) success(running int) (healed bool) {
	healed = p.failures >= gateAfter || p.gated()
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

// failure notes a request for an object that began at begun and failed. It tells whether an episode has begun.
func (p *pace) failure(kind storage.FailureKind, object string, begun, now time.Time) (episode bool) {
	if (kind == storage.Throttled || kind == storage.Permanent && p.taken) && (p.slow == "" || p.slow == object) && p.slowTimes < gateAfter && !p.gated() {
		// Some stores allow one object few writes a second, and a policy may forbid one name alone. That is no reason to
		// hold up the others, unless they are refused as well, or there are none.
		p.slow = object
		p.slowTimes++
		if kind == storage.Permanent {
			p.forbidden.refused(object)
		}
		return false
	}
	if kind == storage.Permanent && p.forbidden.refused(object) && !p.gated() {
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

// hurry ends all pauses, and leaves what is known of the store.
func (p *pace) hurry() {
	if p.epoch++; p.gated() {
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
