package grid

import (
	"slices"
	"time"
)

// pace is how a rung advances.
type pace struct {
	fits   time.Time     // arrival of the newest keyframe that fit the grid
	at     int64         // the newest picture
	keys   []int64       // the newest keyframes, oldest first
	steady bool          // the two newest intervals between keyframes are alike
	lag    time.Duration // of the newest keyframe after the first rung's
	late   int           // keyframes in a row that came more than a target duration after the first rung's
}

// paceKeys is how many keyframes are remembered.
const paceKeys = 5

// key records a keyframe.
func (p *pace) key(at, tolerance int64) {
	if n := len(p.keys); n > 0 && at <= p.keys[n-1] {
		p.keys = p.keys[:0]
	}
	if len(p.keys) == paceKeys {
		p.keys = append(p.keys[:0], p.keys[1:]...)
	}
	before := p.interval()
	p.keys = append(p.keys, at)
	p.steady = before > 0 && closeTo(before, p.interval(), tolerance)
}

// interval returns the time between the two newest keyframes, or 0 if there are not two.
func (p *pace) interval() int64 {
	n := len(p.keys)
	if n < 2 {
		return 0
	}
	return p.keys[n-1] - p.keys[n-2]
}

// longest returns the longest interval between the remembered keyframes.
func (p *pace) longest() (most int64) {
	for i := 1; i < len(p.keys); i++ {
		most = max(most, p.keys[i]-p.keys[i-1])
	}
	return most
}

// differs reports whether one rung has a keyframe at a place that another has passed without one.
func (p *pace) differs(o *pace, tolerance int64) bool {
	for _, k := range p.keys {
		if len(o.keys) == 0 || k < o.keys[0]-tolerance || o.at < k+tolerance {
			continue
		}
		if !slices.ContainsFunc(o.keys, func(other int64) bool { return closeTo(k, other, tolerance) }) {
			return true
		}
	}
	return false
}

// closeTo reports whether two instants are no further apart than a tolerance in ticks.
func closeTo(a, b, tolerance int64) bool { return a-b <= tolerance && b-a <= tolerance }
