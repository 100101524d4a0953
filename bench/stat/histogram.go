// Package stat provides the few statistics a measurement needs: histograms of durations, medians, spreads. It refuses to measure anything.
package stat

import (
	"math"
	"sync/atomic"
	"time"
)

// The buckets of a Histogram: each is 5 % wider than the previous one, from 1 µs to over an hour.
const (
	buckets = 456
	step    = 1.05
)

// Histogram counts durations with an accuracy of 5 %. Add is safe for concurrent use; the zero value is empty.
type Histogram struct {
	counts [buckets]atomic.Uint64
	most   atomic.Int64 // nanoseconds
}

// Add counts d; anything below a microsecond counts as one.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(d)].Add(1)
	for {
		m := h.most.Load()
		if int64(d) <= m || h.most.CompareAndSwap(m, int64(d)) {
			return
		}
	}
}

func bucket(d time.Duration) int {
	us := float64(d) / float64(time.Microsecond)
	if us <= 1 {
		return 0
	}
	return min(int(math.Log(us)/math.Log(step)), buckets-1)
}

// Counts is a histogram at one moment.
type Counts struct {
	counts [buckets]uint64
	Most   time.Duration // the longest ever added
}

// Snapshot returns a copy of the counts.
func (h *Histogram) Snapshot() *Counts {
	c := &Counts{Most: time.Duration(h.most.Load())}
	for i := range h.counts {
		c.counts[i] = h.counts[i].Load()
	}
	return c
}

// Since returns what was added after earlier. Most stays that of the whole time.
func (c *Counts) Since(earlier *Counts) *Counts {
	d := &Counts{Most: c.Most}
	for i := range c.counts {
		d.counts[i] = c.counts[i] - earlier.counts[i]
	}
	return d
}

// N returns how many durations were added.
func (c *Counts) N() (n uint64) {
	for _, k := range c.counts {
		n += k
	}
	return n
}

// Quantile returns the duration below which a share q of all lie; 0 for none.
func (c *Counts) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(c.N())))
	if rank == 0 {
		return 0
	}
	var n uint64
	for i, k := range c.counts {
		if n += k; n >= rank {
			return time.Duration(math.Pow(step, float64(i)+0.5) * float64(time.Microsecond))
		}
	}
	return c.Most
}
