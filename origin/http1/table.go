package http1

import (
	"cmp"
	"slices"
	"sync"
)

// place is a connection's list in the table.
type place uint8

const (
	nowhere place = iota
	unasked       // it has not had a request yet
	asked         // it has
	guests        // there was no place for it
)

// Reasons for closing a connection, besides unasked.
const (
	idle place = iota + 16
	slow
)

// maxGuests bounds connections beyond the limit, whose first request is still examined; the oldest makes room.
const maxGuests = 1024

// table holds the open connections, in order of arrival, and decides which are closed when there are too many.
type table struct {
	patience int64 // in nanoseconds: an answer may take this long and not make room

	mu    sync.Mutex
	max   int
	lists [guests + 1]list

	waiting []waiting // who is closed next, the longest waiting last: one search serves many
	quiet   int64     // no search before then
}

// waiting is a connection that can be closed, as long as its mark is unchanged.
type waiting struct {
	v    *visitor
	mark int64
}

// list holds connections in order of arrival.
type list struct {
	first, last *visitor
	n           int
}

func (l *list) add(v *visitor) {
	v.before, v.after = l.last, nil
	if l.last != nil {
		l.last.after = v
	} else {
		l.first = v
	}
	l.last = v
	l.n++
}

func (l *list) remove(v *visitor) {
	if v.before != nil {
		v.before.after = v.after
	} else {
		l.first = v.after
	}
	if v.after != nil {
		v.after.before = v.before
	} else {
		l.last = v.before
	}
	v.before, v.after = nil, nil
	l.n--
}

// resize changes the maximum number of connections. It closes none.
func (t *table) resize(max int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.max = max
}

// move moves a connection to another list; t.mu is held.
func (t *table) move(v *visitor, to place) {
	if v.in != nowhere {
		t.lists[v.in].remove(v)
	}
	if v.in = to; to != nowhere {
		t.lists[to].add(v)
	}
}

// enter adds a new connection.
func (t *table) enter(v *visitor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.move(v, unasked)
}

// host adds a connection beyond the limit, and returns the one that must be closed for it, or nil.
func (t *table) host(v *visitor) (oldest *visitor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := &t.lists[guests]; l.n >= maxGuests {
		oldest = l.first
		t.move(oldest, nowhere)
	}
	t.move(v, guests)
	return oldest
}

// settle records that a connection has had its first request. It does not move one that was evicted meanwhile.
func (t *table) settle(v *visitor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v.in == unasked || v.in == guests {
		t.move(v, asked)
	}
}

// leave removes a connection.
func (t *table) leave(v *visitor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.move(v, nowhere)
}

// of returns the connections of one run.
func (t *table) of(r *run) (all []*visitor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.lists {
		for v := t.lists[i].first; v != nil; v = v.after {
			if v.r == r {
				all = append(all, v)
			}
		}
	}
	return all
}

// room reports whether there is a place for a new connection. It may return a victim, which the caller must close.
func (t *table) room(now int64) (victim *visitor, why place, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lists[unasked].n+t.lists[asked].n < t.max {
		return nil, nowhere, true
	}
	if v := t.lists[unasked].first; v != nil {
		t.move(v, nowhere)
		return v, unasked, true
	}
	if victim, why = t.next(); victim == nil && now >= t.quiet {
		t.look(now)
		victim, why = t.next()
	}
	return victim, why, victim != nil
}

// force makes a place for a trusted connection: one that is not trusted is closed, whatever it does. A trusted one is closed only if it is
// idle.
func (t *table) force() (victim *visitor, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lists[unasked].n+t.lists[asked].n < t.max {
		return nil, true
	}
	if v := t.lists[unasked].first; v != nil {
		t.move(v, nowhere)
		return v, true
	}
	var trusted *visitor
	for v := t.lists[asked].first; v != nil; v = v.after {
		if !v.vouched.Load() {
			t.move(v, nowhere)
			return v, true
		}
		if trusted == nil && v.mark.Load() > 0 {
			trusted = v
		}
	}
	if trusted != nil {
		t.move(trusted, nowhere)
	}
	return trusted, trusted != nil
}

// next returns the next of waiting that still waits.
func (t *table) next() (*visitor, place) {
	for len(t.waiting) > 0 {
		w := t.waiting[len(t.waiting)-1]
		t.waiting[len(t.waiting)-1] = waiting{}
		t.waiting = t.waiting[:len(t.waiting)-1]
		if w.v.in != asked || w.v.mark.Load() != w.mark || w.v.vouched.Load() {
			continue
		}
		t.move(w.v, nowhere)
		if w.mark < 0 {
			return w.v, slow
		}
		return w.v, idle
	}
	return nil, nowhere
}

// How many are found at a time, and for how many nanoseconds no search follows one in vain: going through all connections for each new one
// would be an attack of its own.
const (
	waitingAtOnce = 256
	lookAgain     = 100e6
)

// look finds connections that can be closed: those that have been idle longest, or, if none is idle, those whose answers have taken longer
// than patience.
func (t *table) look(now int64) {
	var busy []waiting
	for v := t.lists[asked].first; v != nil; v = v.after {
		if v.vouched.Load() {
			continue
		}
		switch m := v.mark.Load(); {
		case m > 0:
			t.waiting = append(t.waiting, waiting{v, m})
		case now+m > t.patience:
			busy = append(busy, waiting{v, m})
		}
	}
	if len(t.waiting) == 0 {
		t.waiting = busy
	}
	if len(t.waiting) == 0 {
		t.quiet = now + lookAgain
		return
	}
	slices.SortFunc(t.waiting, func(a, b waiting) int { return cmp.Compare(abs(b.mark), abs(a.mark)) })
	if n := len(t.waiting); n > waitingAtOnce {
		t.waiting = slices.Clone(t.waiting[n-waitingAtOnce:])
	}
}

func abs(n int64) int64 { return max(n, -n) }
