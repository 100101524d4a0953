package http1

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// turn is a visitor's place in a lane, while its request is held: it costs no goroutine. Guarded by lanes.mu.
type turn struct {
	row        *row // of a lane; nil: it is in none
	prev, next *visitor
	until      int64 // of Server.now: then it is answered, whatever there is
	since      int64 // of Server.now: when the request was read
}

// lanes are the visitors whose requests are held, each in the lane of what it waits for.
type lanes struct {
	mu  sync.Mutex
	all map[<-chan struct{}]*lane
}

// lane is those who wait for the same thing. One goroutine waits for all of them.
type lane struct {
	what   <-chan struct{}
	sooner chan struct{} // tells it that there is a new first; room for one
	// Who has waited for something before comes back in the order in which they waited, while others come: beside these, each would look for
	// its place among all who came meanwhile.
	fresh, again row
}

// row is visitors in the order in which their time is up, which mostly is that in which they came.
type row struct{ first, last *visitor }

// hold lets a visitor wait whose request is in its buffer, and who is the caller's; until is of Server.now, and again says that it has waited
// before. It is not the caller's any more.
func (r *run) hold(v *visitor, what <-chan struct{}, since, until int64, again bool) {
	v.mark.Store(-since)
	ls := &r.lanes
	ls.mu.Lock()
	if ls.all == nil {
		ls.all = make(map[<-chan struct{}]*lane)
	}
	l := ls.all[what]
	if l == nil {
		l = &lane{what: what, sooner: make(chan struct{}, 1)}
		ls.all[what] = l
		r.polls.wait.Go(func() { r.wait(l) })
	}
	v.turn = turn{row: &l.fresh, since: since, until: until}
	if again {
		v.turn.row = &l.again
	}
	v.turn.row.insert(v)
	if l.first() == v {
		select {
		case l.sooner <- struct{}{}:
		default:
		}
	}
	v.state.Store(held)
	ls.mu.Unlock()
	if v.sock.gone() && r.unhold(v) { // what is closed wakes no poller
		r.dismiss(v)
	}
}

// first is whose time is up first; nil where nobody waits. lanes.mu is held.
func (l *lane) first() *visitor {
	f, a := l.fresh.first, l.again.first
	if f == nil || a != nil && a.turn.until <= f.turn.until {
		return a
	}
	return f
}

// insert gives a visitor its place behind all whose time is up before its own. lanes.mu is held.
func (w *row) insert(v *visitor) {
	after := w.last
	for after != nil && after.turn.until > v.turn.until {
		after = after.turn.prev
	}
	p := &v.turn
	p.prev, p.next = after, w.first
	if after != nil {
		p.next, after.turn.next = after.turn.next, v
	} else {
		w.first = v
	}
	if p.next != nil {
		p.next.turn.prev = v
	} else {
		w.last = v
	}
}

// unhold takes a visitor out of its lane; false where it is in none. After true it is the caller's, and its request is not answered.
func (r *run) unhold(v *visitor) bool {
	r.lanes.mu.Lock()
	defer r.lanes.mu.Unlock()
	if v.sock == nil || v.turn.row == nil {
		return false
	}
	v.leaveRow()
	r.stats.Held.Add(-1)
	r.stats.parked.Add(-1)
	return true
}

// leaveRow takes a visitor out of its lane, who is the caller's then. lanes.mu is held.
func (v *visitor) leaveRow() {
	p := &v.turn
	if p.prev != nil {
		p.prev.turn.next = p.next
	} else {
		p.row.first = p.next
	}
	if p.next != nil {
		p.next.turn.prev = p.prev
	} else {
		p.row.last = p.prev
	}
	p.row, p.prev, p.next = nil, nil, nil
	v.state.Store(taken)
}

// emptyLane is how long a lane stays that nobody stands in.
const emptyLane = time.Second

// wait has those in a lane answered when their time has come, in their order.
func (r *run) wait(l *lane) {
	next := time.NewTimer(emptyLane)
	defer next.Stop()
	for {
		select {
		case <-l.what:
			r.serveAll(r.leave(l, func(*visitor) bool { return true }, true), false)
			return
		case <-r.stopping:
			for _, v := range r.leave(l, func(*visitor) bool { return true }, true) {
				r.stats.Held.Add(-1)
				r.stats.parked.Add(-1)
				r.promote(v) // which finds the server stopping
			}
			return
		case <-l.sooner:
		case <-next.C:
		}
		now := r.now()
		due := r.leave(l, func(v *visitor) bool { return v.turn.until <= now }, false)
		r.serveAll(due, true)
		r.lanes.mu.Lock()
		first := l.first()
		if first == nil && len(due) == 0 {
			delete(r.lanes.all, l.what)
			r.lanes.mu.Unlock()
			return
		}
		wait := emptyLane
		if first != nil {
			wait = max(time.Duration(first.turn.until-r.now()), time.Millisecond)
		}
		r.lanes.mu.Unlock()
		next.Reset(wait)
	}
}

// leave takes those out of a lane who come first and may go; with close the lane ends.
func (r *run) leave(l *lane, may func(*visitor) bool, close bool) (out []*visitor) {
	r.lanes.mu.Lock()
	defer r.lanes.mu.Unlock()
	for v := l.first(); v != nil && may(v); v = l.first() {
		v.leaveRow()
		out = append(out, v)
	}
	if close {
		delete(r.lanes.all, l.what)
	}
	return out
}

// atOnce is how many visitors one goroutine answers before another one helps.
const atOnce = 128

// serveAll answers visitors who have waited, in their order as far as several hands allow: each takes the next. waited says that their time is up.
func (r *run) serveAll(all []*visitor, waited bool) {
	if len(all) == 0 {
		return
	}
	var next atomic.Int64
	serve := func() {
		d := &desk{r: r, answer: r.polls.answer}
		for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
			d.resume(all[i], waited)
		}
	}
	var done sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), maxPollers, (len(all)+atOnce-1)/atOnce) - 1 {
		done.Go(serve)
	}
	serve()
	done.Wait()
}
