package mirror

import (
	"github.com/hlsorigin/hlsorigin/storage"
	"time"
)

// pace decides how hard one store is driven. It allows a number of requests at once that grows by one for each round of
// successes and halves on failure; after several failures in a row it closes the gate for a while, so that what is left
// is one probe now and then. Guarded by Uploader.mu.
type pace struct {
	max    int
	limit  int
	good   int       // successes since the limit last changed
	halved time.Time // requests that began before it say nothing new

	failures int // in a row
	refusals int // of them, permanent; those that were on their way together count as one
	gate     time.Time
	epoch    uint64 // rises when the store is well again: pauses from before do not count any more
	backoff  storage.RetryOptions
	probe    storage.RetryOptions // after permanent failures
}

// gateAfter is the number of failures in a row that mean the store, and not one request, is in trouble.
const gateAfter = 3

// throttledFirst is the least pause after the store asked for a slower pace.
const throttledFirst = time.Second

func newPace(o *Options) pace {
	return pace{
		max: o.Workers, limit: max(1, o.Workers/2),
		backoff: storage.RetryOptions{First: o.RetryMin, Most: o.RetryMax},
		probe:   storage.RetryOptions{First: o.ProbeMin, Most: o.ProbeMax},
	}
}

// success tells whether an episode of failures has ended.
func (p *pace) success() (healed bool) {
	healed = p.failures >= gateAfter || !p.gate.IsZero()
	if healed {
		p.epoch++
	}
	p.failures, p.refusals, p.gate = 0, 0, time.Time{}
	if p.good++; p.good >= p.limit {
		p.limit, p.good = min(p.limit+1, p.max), 0
	}
	return healed
}

// failure notes a request that began at begun and failed. It tells whether an episode has begun.
func (p *pace) failure(kind storage.FailureKind, begun, now time.Time) (episode bool) {
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
		p.gate = later(p.gate, now.Add(p.probe.Backoff(p.refusals)))
	case kind == storage.Throttled:
		episode = p.failures == gateAfter
		p.gate = later(p.gate, now.Add(max(throttledFirst, p.backoff.Backoff(p.failures))))
	case p.failures >= gateAfter:
		episode = p.failures == gateAfter
		p.gate = later(p.gate, now.Add(p.backoff.Backoff(p.failures-gateAfter+1)))
	}
	if p.failures >= gateAfter || kind == storage.Permanent {
		p.limit = 1
	}
	return episode
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
