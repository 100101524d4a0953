// Package attempts limits how often something may be guessed: a token bucket for each address or secret, and once that is empty a pause
// that doubles with each further attempt. It refuses to know what is guessed, stores no secret itself, and holds no more than a fixed
// number of buckets, whatever comes.
package attempts

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Options of a Limiter. A zero field means its default.
type Options struct {
	Burst    int           // failures in a row without a pause; default 10
	Every    time.Duration // time after which one failure is forgiven; default 30s
	MinPause time.Duration // after the first failure beyond the burst; default 1s
	MaxPause time.Duration // upper bound of the doubling; default 60s
	MaxKeys  int           // buckets kept; the least recently used goes first; default 10000

	Now func() time.Time // default time.Now
}

func (o Options) withDefaults() Options {
	if o.Burst == 0 {
		o.Burst = 10
	}
	if o.Every == 0 {
		o.Every = 30 * time.Second
	}
	if o.MinPause == 0 {
		o.MinPause = time.Second
	}
	if o.MaxPause == 0 {
		o.MaxPause = time.Minute
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = 10000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Limiter counts failed attempts by key. Its methods are safe for concurrent use.
type Limiter struct {
	opts Options

	mu      sync.Mutex
	buckets map[string]*list.Element // of *bucket
	recent  *list.List               // most recently used first
}

type bucket struct {
	key    string
	tokens float64
	at     time.Time // when tokens were counted
	pause  time.Duration
	until  time.Time // nothing is allowed before
}

// New returns a Limiter.
func New(o Options) *Limiter {
	return &Limiter{opts: o.withDefaults(), buckets: map[string]*list.Element{}, recent: list.New()}
}

// Take asks to make an attempt, and counts it as a failure unless Return follows. It returns 0, or how long to wait; then the attempt must
// not be made and is not counted.
func (l *Limiter) Take(key string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.opts.Now()
	b := l.bucket(key, now)
	if wait := b.until.Sub(now); wait > 0 {
		return wait
	}
	b.tokens += float64(now.Sub(b.at)) / float64(l.opts.Every)
	b.at = now
	if full := float64(l.opts.Burst); b.tokens >= full {
		b.tokens, b.pause = full, 0
	}
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	b.pause = min(max(2*b.pause, l.opts.MinPause), l.opts.MaxPause)
	b.until = now.Add(b.pause)
	return 0
}

// Return reports that the newest attempt of the key succeeded. It takes back the cost of that attempt, and forgives no other.
func (l *Limiter) Return(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.buckets[key]
	if !ok {
		return
	}
	b := e.Value.(*bucket)
	if !b.until.IsZero() {
		b.until = time.Time{}
		b.pause /= 2
		return
	}
	b.tokens = min(b.tokens+1, float64(l.opts.Burst))
}

// Len returns the number of buckets.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}

func (l *Limiter) bucket(key string, now time.Time) *bucket {
	if e, ok := l.buckets[key]; ok {
		l.recent.MoveToFront(e)
		b := e.Value.(*bucket)
		if !b.until.IsZero() && !now.Before(b.until) {
			b.until = time.Time{}
		}
		return b
	}
	if len(l.buckets) >= l.opts.MaxKeys {
		oldest := l.recent.Back()
		delete(l.buckets, l.recent.Remove(oldest).(*bucket).key)
	}
	b := &bucket{key: key, tokens: float64(l.opts.Burst), at: now}
	l.buckets[key] = l.recent.PushFront(b)
	return b
}

// Address returns the key of a peer: an IPv4 address itself, or the /64 of an IPv6 address, which is what one customer has.
func Address(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
