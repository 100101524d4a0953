package remote

import (
	"errors"
	"sync/atomic"
	"time"
)

// Copy is a playlist that another server has and viewers poll here. As long as somebody wants it a request waits at that server for the next
// version of it: so it is behind by the time that an answer takes.
type Copy struct {
	q      Query       // its own: nothing in it is borrowed
	wanted atomic.Bool // since it was last looked at
	over   atomic.Bool // it is not followed any more, whatever its server says
	reply  atomic.Pointer[Reply]

	size int64 // of Remote.mu: bytes that it takes
}

// Ready returns the newest version of the playlist; nil where there is none, or it is not followed any more. It notes that somebody wants it.
func (c *Copy) Ready() *Answer {
	p := c.reply.Load()
	if p.Verdict != Away || p.Answer.Status != 200 {
		return nil
	}
	if !c.wanted.Load() {
		c.wanted.Store(true)
	}
	return p.Answer
}

// now is what is known of it.
func (c *Copy) now() Reply { return *c.reply.Load() }

// begin follows a playlist, the newest version of which a call has brought. r.mu is held.
func (r *Remote) begin(q *Query, from *call) Reply {
	c := &Copy{q: q.own()}
	rep := from.reply
	rep.Copy = c
	c.reply.Store(&rep)
	c.wanted.Store(true)
	if !r.spawn(func() { r.follow(c, rep.Owner, rep.Answer) }) {
		return Reply{Verdict: Busy}
	}
	r.bytes -= r.calls.drop(from)
	r.resize(c, rep.Answer)
	r.copies[c.q.Path] = c
	r.Stats.Polls.Add(1)
	return rep
}

// set makes a reply known.
func (r *Remote) set(c *Copy, p Reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.over.Load() {
		return
	}
	r.resize(c, p.Answer)
	p.Copy = c
	c.reply.Store(&p)
}

// resize notes what a copy takes in memory. r.mu is held.
func (r *Remote) resize(c *Copy, a *Answer) {
	was := c.size
	if c.size = 0; a != nil {
		c.size = a.size()
	}
	r.bytes += c.size - was
	r.copied += c.size - was
	r.shrink(0)
}

// end forgets a playlist. Who asks for it next begins anew.
func (r *Remote) end(c *Copy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(c)
	r.Stats.Polls.Add(-1)
}

// drop lets nobody have a playlist any more. r.mu is held.
func (r *Remote) drop(c *Copy) {
	if c.over.Swap(true) {
		return
	}
	r.resize(c, nil)
	c.reply.Store(&Reply{Verdict: Busy, Copy: c})
	delete(r.copies, c.q.Path)
}

// wantedFor is for how many target durations a playlist is followed after somebody asked for it.
const wantedFor = 3

// follow keeps a playlist up to date as long as somebody wants it and another server has it.
func (r *Remote) follow(c *Copy, owner Owner, a *Answer) {
	defer r.end(c)
	f := follower{r: r, c: c, owner: owner, last: r.o.Now()}
	f.take(a)
	for f.wanted() {
		if f.doubt { // else poll looks now and then: a bucket that is slow holds up no playlist
			w, ok := r.wait(c.q.Name.App, c.q.Name.Stream, time.Time{})
			switch {
			case !ok, w.verdict == Here:
				return
			case w.verdict != Away:
				if !r.pause(settled) {
					return
				}
				continue
			case f.owner.Address != w.owner.Address:
				f.etag, f.moved = "", r.o.Now()
			}
			f.owner, f.doubt = w.owner, false
		}
		if !f.step() {
			return
		}
	}
}

// wait is whose, for those who can wait; false: Run has ended.
func (r *Remote) wait(app, stream string, since time.Time) (finding, bool) {
	for {
		r.mu.Lock()
		w := r.whose(app, stream, since)
		r.mu.Unlock()
		if w.verdict != Pending {
			return w, true
		}
		select {
		case <-w.wait:
		case <-r.stop:
			return w, false
		}
	}
}

// pause waits; false: Run has ended.
func (r *Remote) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.stop:
		return false
	}
}

// shakenTime is for how long a server that was away is doubted: it may have been started again, and know less than the one that has its streams
// by now.
const shakenTime = 15 * time.Second

// follower is what follow knows.
type follower struct {
	r      *Remote
	c      *Copy
	owner  Owner         // the server that is asked
	doubt  bool          // it may be another one by now
	moved  time.Time     // when that became another; zero: it did not
	shaken time.Time     // when it did not answer last; zero: it always did
	etag   string        // of what it answered, as it was sent
	answer *Answer       // the newest playlist
	target time.Duration // its target duration
	last   time.Time     // when somebody was seen to want it
}

// wanted reports whether somebody has wanted the playlist not long ago.
func (f *follower) wanted() bool {
	if f.c.over.Load() {
		return false
	}
	now := f.r.o.Now()
	if f.c.wanted.Swap(false) {
		f.last = now
	}
	return now.Sub(f.last) <= wantedFor*f.target
}

// step asks once. False: it is not followed any more.
func (f *follower) step() bool {
	r, c := f.r, f.c
	r.mu.Lock()
	down := r.down(f.owner.Address)
	r.mu.Unlock()
	if down {
		return f.lost()
	}
	began := r.o.Now()
	a, unchanged, err := f.poll()
	switch {
	case errors.Is(err, errStopped), errors.Is(err, errUnwanted):
		return false
	case errors.Is(err, errMoved):
		f.doubt = true
		return true
	case errors.Is(err, errFull):
		r.set(c, Reply{Verdict: Busy})
		return r.pause(settled)
	case err != nil:
		return f.lost()
	case unchanged && a.CacheControl == f.answer.CacheControl:
		return true
	case unchanged:
		again := *f.answer
		again.CacheControl = a.CacheControl
		f.answer = &again
	case a.Status >= 500, a.Status != 200 && r.o.Now().Sub(f.moved) < wantedFor*f.target: // who takes a stream may not have it ready yet
		return f.lost()
	case (a.Status != 200 || a.Final()) && !r.stands(&c.q, f.owner, began): // it has lost the stream, and knows it
		f.doubt = true
		return true
	case a.Status != 200:
		f.etag, f.doubt = "", true
		r.set(c, Reply{Verdict: Away, Answer: a, Owner: f.owner})
		return r.pause(settled)
	default:
		f.take(a)
	}
	r.set(c, Reply{Verdict: Away, Answer: f.answer, Owner: f.owner})
	return true
}

// stands reports whether a server has the stream still, as far as can be found out. One whose stream another has taken may believe that it
// has ended, or has let go of it, and nobody must be told so.
func (r *Remote) stands(q *Query, owner Owner, since time.Time) bool {
	if q.Name.Recording != "" && q.Name.Recording < owner.Recording {
		return true
	}
	w, ok := r.wait(q.Name.App, q.Name.Stream, since)
	switch {
	case !ok:
		return false
	case w.verdict == Away:
		return w.owner.Address == owner.Address
	}
	return w.verdict != Here || w.owner.Recording == "" // else it is this server's by now
}

// lost notes that the server does not answer, and waits a little.
func (f *follower) lost() bool {
	f.etag, f.doubt, f.shaken = "", true, f.r.o.Now()
	f.r.set(f.c, Reply{Verdict: Lost, Answer: f.answer, Owner: f.owner})
	return f.r.pause(f.r.o.Patience / 4)
}

// take notes the newest playlist.
func (f *follower) take(a *Answer) {
	f.answer, f.target = a, a.target()
	if f.etag = a.ETag; a.Gzip != nil {
		f.etag = a.GzipETag
	}
}

// result is what came of a request.
type result struct {
	answer    *Answer
	unchanged bool
	err       error
}

// poll asks for the next version. If there is none for longer than a segment should take, or the server was away not long ago, it looks whether
// the stream has another server now.
func (f *follower) poll() (*Answer, bool, error) {
	r, address := f.r, f.owner.Address
	ctx, cut, leave := r.enter(address)
	defer leave()
	done := make(chan result, 1)
	etag := f.etag
	go func() { // ends with ctx
		a, unchanged, err := r.fetch(ctx, &f.c.q, address, etag)
		done <- result{a, unchanged, err}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	began := r.o.Now()
	var found chan struct{} // closed when it is found out whose the stream is
	for {
		select {
		case x := <-done:
			return x.answer, x.unchanged, x.err
		case <-tick.C:
		case <-found:
		}
		if found = nil; !f.wanted() {
			cut(errUnwanted)
			continue
		}
		if now := r.o.Now(); now.Sub(began) < f.target && (f.shaken.IsZero() || now.Sub(f.shaken) > shakenTime) {
			continue
		}
		r.mu.Lock()
		w := r.whose(f.c.q.Name.App, f.c.q.Name.Stream, time.Time{})
		r.mu.Unlock()
		if found = w.wait; w.verdict == Here || w.verdict == Away && w.owner.Address != address {
			cut(errMoved)
		}
	}
}
