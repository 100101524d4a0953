package http1

import (
	"runtime"
	"sync"
	"time"
)

// turn is a visitor's place in a lane, while its request is held: it costs no goroutine. Guarded by lanes.mu.
type turn struct {
	lane       *lane // nil: it is in none
	prev, next *visitor
	until      int64 // of Server.now: then it is answered, whatever there is
	since      int64 // of Server.now: when the request was read
}

// lanes are the visitors whose requests are held, each in the lane of what it waits for.
type lanes struct {
	mu  sync.Mutex
	all map[<-chan struct{}]*lane
}

// lane is those who wait for the same thing, in the order in which their time is up, which mostly is that in which they came. One goroutine
// waits for all of them.
type lane struct {
	what        <-chan struct{}
	sooner      chan struct{} // tells it that there is a new first; room for one
	first, last *visitor
}

// hold lets a visitor wait whose request is in its buffer, which a poller has; until is of Server.now. It is not the caller's
// any more.
func (r *run) hold(v *visitor, what <-chan struct{}, since, until int64) {
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
	v.turn = turn{lane: l, since: since, until: until}
	l.insert(v)
	v.state.Store(held)
	ls.mu.Unlock()
	if v.sock.gone() && r.unhold(v) { // what is closed wakes no poller
		r.dismiss(v)
	}
}

// insert gives a visitor its place behind all whose time is up before its own. Who has waited before brings an older one. lanes.mu is held.
func (l *lane) insert(v *visitor) {
	after := l.last
	for after != nil && after.turn.until > v.turn.until {
		after = after.turn.prev
	}
	p := &v.turn
	p.prev, p.next = after, l.first
	if after != nil {
		p.next, after.turn.next = after.turn.next, v
	} else {
		l.first = v
		select {
		case l.sooner <- struct{}{}:
		default:
		}
	}
	if p.next != nil {
		p.next.turn.prev = v
	} else {
		l.last = v
	}
}

// unhold takes a visitor out of its lane; false where it is in none. After true it is the caller's, and its request is not answered.
func (r *run) unhold(v *visitor) bool {
	r.lanes.mu.Lock()
	defer r.lanes.mu.Unlock()
	if v.sock == nil || v.turn.lane == nil {
		return false
	}
	v.turn.lane.remove(v)
	r.stats.Held.Add(-1)
	r.stats.parked.Add(-1)
	return true
}

// remove takes a visitor out, who is the caller's then. lanes.mu is held.
func (l *lane) remove(v *visitor) {
	p := &v.turn
	if p.prev != nil {
		p.prev.turn.next = p.next
	} else {
		l.first = p.next
	}
	if p.next != nil {
		p.next.turn.prev = p.prev
	} else {
		l.last = p.prev
	}
	p.lane, p.prev, p.next = nil, nil, nil
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
		if l.first == nil && len(due) == 0 {
			delete(r.lanes.all, l.what)
			r.lanes.mu.Unlock()
			return
		}
		wait := emptyLane
		if l.first != nil {
			wait = max(time.Duration(l.first.turn.until-r.now()), time.Millisecond)
		}
		r.lanes.mu.Unlock()
		next.Reset(wait)
	}
}

// leave takes those out of a lane who come first and may go; with close the lane ends.
func (r *run) leave(l *lane, may func(*visitor) bool, close bool) (out []*visitor) {
	r.lanes.mu.Lock()
	defer r.lanes.mu.Unlock()
	for l.first != nil && may(l.first) {
		v := l.first
		l.remove(v)
		out = append(out, v)
	}
	if close {
		delete(r.lanes.all, l.what)
	}
	return out
}

// atOnce is how many visitors one goroutine answers before another one helps.
const atOnce = 128

// serveAll answers visitors who have waited, in their order as far as one after the other allows. waited says that their time is up.
func (r *run) serveAll(all []*visitor, waited bool) {
	if len(all) == 0 {
		return
	}
	hands := min(runtime.GOMAXPROCS(0), maxPollers, (len(all)+atOnce-1)/atOnce)
	var done sync.WaitGroup
	for hand := 1; hand < hands; hand++ {
		done.Go(func() { r.serveEach(all, hand, hands, waited) })
	}
	r.serveEach(all, 0, hands, waited)
	done.Wait()
}

func (r *run) serveEach(all []*visitor, from, step int, waited bool) {
	d := &desk{r: r, answer: r.polls.answer}
	for i := from; i < len(all); i += step {
		d.resume(all[i], waited)
	}
}
