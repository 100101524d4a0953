package remote

import (
	"container/list"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// call is one request for all who want the same thing at a time, and afterwards its answer.
type call struct {
	key  string
	done chan struct{} // closed when it is over

	// Of Remote.mu.
	over    bool
	reply   Reply
	came    time.Time // when it was over
	lasting bool      // the answer is of what never changes
	size    int64
	place   *list.Element // in calls.order, once it is over
}

// calls are the requests that are being made, and the answers that are kept.
type calls struct {
	byKey map[string]*call
	order list.List // of those that are over, the one used last first
}

// How long an answer is good: for those who come after it, and for those who have waited for it, if they are slow.
const (
	newsTime = 50 * time.Millisecond
	keptTime = 500 * time.Millisecond
	settled  = time.Second // that there is nothing
)

// key names what a query asks for.
func (q *Query) key() string {
	k := q.Path
	if q.Query != "" {
		k += "?" + q.Query
	}
	switch {
	case q.Head && q.Gzip:
		k += " head gzip"
	case q.Head:
		k += " head"
	}
	return k
}

// find returns the call for a query, if it is being made or its answer is still good. Remote.mu is held.
func (cs *calls) find(q *Query, now time.Time) *call {
	c := cs.byKey[q.key()]
	if c == nil || !c.over {
		return c
	}
	life := newsTime
	switch {
	case q.Held:
		life = keptTime
	case c.reply.Answer != nil && c.reply.Answer.Status == 404:
		life = settled
	}
	if !c.lasting && now.Sub(c.came) > life {
		return nil
	}
	cs.order.MoveToFront(c.place)
	return c
}

// now is what is known of it. Remote.mu is held.
func (c *call) now() Reply {
	if !c.over {
		return Reply{Verdict: Pending, Wait: c.done}
	}
	return c.reply
}

// drop forgets a call that is over, and returns its size in bytes. Remote.mu is held.
func (cs *calls) drop(c *call) int64 {
	cs.order.Remove(c.place)
	if cs.byKey[c.key] == c {
		delete(cs.byKey, c.key)
	}
	return c.size
}

// dropOldest drops what was not used for longest; false: there is nothing. Remote.mu is held.
func (cs *calls) dropOldest() (size int64, ok bool) {
	e := cs.order.Back()
	if e == nil {
		return 0, false
	}
	return cs.drop(e.Value.(*call)), true
}

// maxCalls bounds the answers that are kept, whatever they take.
const maxCalls = 8192

// own returns the query with strings of its own.
func (q *Query) own() Query {
	own := Query{Path: strings.Clone(q.Path), Query: strings.Clone(q.Query), Head: q.Head, Gzip: q.Gzip}
	own.Name, _ = segmenter.ParseName(own.Path[1:])
	return own
}

// call begins a request. r.mu is held.
func (r *Remote) call(q *Query, owner Owner) Reply {
	own := q.own()
	if r.calls.byKey == nil {
		r.calls.byKey = map[string]*call{}
	}
	c := &call{key: own.key(), done: make(chan struct{})}
	if was := r.calls.byKey[c.key]; was != nil && was.over {
		r.bytes -= r.calls.drop(was)
	}
	if !r.spawn(func() { r.make(c, &own, owner) }) {
		return Reply{Verdict: Busy}
	}
	r.calls.byKey[c.key] = c
	if own.Query != "" {
		r.queried++
	}
	return c.now()
}

// make makes a request, and keeps what comes of it.
func (r *Remote) make(c *call, q *Query, owner Owner) {
	ctx, cut, leave := r.enter(owner.Address)
	defer leave()
	late := time.AfterFunc(holdTime, func() { cut(context.DeadlineExceeded) })
	defer late.Stop()
	began := r.o.Now()
	a, _, err := r.fetch(ctx, q, owner.Address, "")
	if err == nil && (a.Status == 200 && a.Final() || a.Status == 404 && q.current(owner)) && !r.stands(q, owner, began) {
		err = errMoved // who waited asks again whose it is
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if q.Query != "" {
		r.queried--
	}
	c.reply = Reply{Verdict: Away, Answer: a, Owner: owner}
	switch {
	case errors.Is(err, errFull), errors.Is(err, errStopped):
		c.reply = Reply{Verdict: Busy}
	case errors.Is(err, errMoved):
		delete(r.calls.byKey, c.key)
		close(c.done)
		return
	case err != nil:
		c.reply = Reply{Verdict: Lost, Owner: owner}
	}
	c.over, c.came, c.size = true, r.o.Now(), 1<<10
	if a != nil {
		c.size += a.size()
		c.lasting = a.Status == 200 && a.CacheControl == segmenter.AgeSegment && !text(q.Name.Kind) && q.Query == ""
	}
	if r.shrink(c.size); r.bytes+c.size > r.o.MaxBytes { // who waited would ask again and again
		c.reply, c.size, c.lasting = Reply{Verdict: Busy}, 1<<10, false
	}
	c.place = r.calls.order.PushFront(c)
	r.bytes += c.size
	for r.calls.order.Len() > maxCalls {
		size, _ := r.calls.dropOldest()
		r.bytes -= size
	}
	close(c.done)
}
