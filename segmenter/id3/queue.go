package id3

import "errors"

// MaxWaiting is how many tags wait for their place in a recording at most.
const MaxWaiting = 64

// ErrFull refuses a tag where MaxWaiting wait.
var ErrFull = errors.New("too many tags wait for their place")

// Order is a tag and its place. Times are 90 kHz ticks on the recording's time line.
type Order struct {
	Tag   []byte // not changed any more
	From  uint64 // no segment before this number has it
	Begin bool   // it is to be shown where that segment begins
	At    int64  // else: when
}

// Queue is the tags of one recording that have no place yet, in their order. The zero value is ready. It is for one goroutine at
// a time.
type Queue struct{ waiting []Order }

// Len returns how many tags wait.
func (q *Queue) Len() int { return len(q.waiting) }

// Add takes a tag. The error is ErrFull or nil.
func (q *Queue) Add(o Order) error {
	if len(q.waiting) >= MaxWaiting {
		return ErrFull
	}
	q.waiting = append(q.waiting, o)
	return nil
}

// Wants reports whether a tag waits for a segment of this number or of one before it.
func (q *Queue) Wants(number uint64) bool {
	for i := range q.waiting {
		if q.waiting[i].From <= number {
			return true
		}
	}
	return false
}

// Next takes the next tag that is due out, with the time at which it is to be shown; false where none is. The segment of a
// number began at start, and has got to now. opening says that nothing but its first access unit has been written: what should
// have been before it is shown at its start.
func (q *Queue) Next(number uint64, start, now int64, opening bool) (tag []byte, at int64, ok bool) {
	if len(q.waiting) == 0 {
		return nil, 0, false
	}
	o := &q.waiting[0]
	switch at = o.At; {
	case number < o.From:
		return nil, 0, false
	case o.Begin && opening:
		at = start
	case o.Begin: // it came after the beginning
		at = now
	case opening:
		at = max(at, start)
	}
	if at > now && (at > start || !opening) { // sound may begin a little before
		return nil, 0, false
	}
	tag = o.Tag
	if q.waiting = q.waiting[1:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	return tag, at, true
}

// Drop takes all that wait out, and returns how many they were.
func (q *Queue) Drop() int {
	n := len(q.waiting)
	q.waiting = nil
	return n
}

// Break says that the time line has ended: what waits is shown where the next segment begins.
func (q *Queue) Break() {
	for i := range q.waiting {
		q.waiting[i].Begin = true
	}
}
