package vitals

import (
	"slices"
	"time"
)

// NumBuckets is how many buckets a Histogram has at most.
const NumBuckets = 16

// Histogram counts times by their size: Counts[i] those of at most bound i and above the one before it, the first bucket without a bound all
// that are above. The zero value is empty. It is not safe for concurrent use.
type Histogram struct {
	Counts [NumBuckets]int64
	Sum    time.Duration
}

// JitterBounds are the upper bounds of Reading.Jitter. Up to 50 ms is what encoders, and the server's own way of reading, make of an even
// stream; a keyframe on a slow line takes some hundred milliseconds; from a second on it is the line that stalls.
func JitterBounds() []time.Duration {
	const ms, s = time.Millisecond, time.Second
	return []time.Duration{5 * ms, 10 * ms, 20 * ms, 50 * ms, 100 * ms, 200 * ms, 500 * ms, s, 2 * s, 5 * s, 10 * s}
}

// IntervalBounds are the upper bounds of Reading.Intervals. For each target duration from 1 s to 12 s, one lies at it and one at most half
// of it above, which is as late as a segment may be.
func IntervalBounds() []time.Duration {
	const s = time.Second
	return []time.Duration{s / 2, s, 3 * s / 2, 2 * s, 3 * s, 4 * s, 5 * s, 6 * s, 8 * s, 10 * s, 12 * s, 15 * s, 20 * s, 30 * s, 60 * s}
}

func (h *Histogram) count(bounds []time.Duration, d time.Duration) {
	i, _ := slices.BinarySearch(bounds, d)
	h.Counts[i]++
	h.Sum += d
}

// Add counts what o has counted, by the same bounds.
func (h *Histogram) Add(o *Histogram) {
	for i, n := range o.Counts {
		h.Counts[i] += n
	}
	h.Sum += o.Sum
}
