package id3

import "time"

// PerSecond is how many tags a stream may be given in a second, on average and at once.
const PerSecond = 10

// Pace counts the tags of one stream. The zero value has seen none. It is for one goroutine at a time.
type Pace struct {
	spent time.Duration // of a second, as of last
	last  time.Time
}

// Take reports whether one more may come now, and counts it.
func (p *Pace) Take(now time.Time) bool {
	const each = time.Second / PerSecond
	spent := max(p.spent-max(now.Sub(p.last), 0), 0) // a clock that goes back gives nothing
	p.last, p.spent = now, spent
	if spent+each > time.Second {
		return false
	}
	p.spent += each
	return true
}
