package http1

import (
	"bytes"
	"syscall"
	"time"
)

// desk is where a poller answers: it has memory for one answer at a time.
type desk struct {
	outbox
	r      *run
	answer func(*Request, *Response)
}

// deskTurns is how often the poller reads from one visitor before it turns to the others.
const deskTurns = 16

// serve answers what came from a parked visitor if that needs no waiting, and leaves the rest to a goroutine. hangUp reports that the
// client has sent its last byte.
func (d *desk) serve(v *visitor, hangUp bool) {
	if hangUp && v.drop() {
		return
	}
	if !v.claim() {
		v.sock.seen.Store(true)
		if hangUp && v.drop() {
			return
		}
		if !v.claim() { // unless it was parked just now, before serve was called
			v.sock.signal()
			return
		}
	}
	r := d.r
	defer func() {
		if p := recover(); p != nil {
			r.failed(p)
			r.dismiss(v)
		}
	}()
	for range deskTurns {
		switch err := v.fill(instant{v.sock}, v); {
		case err == nil:
		case err == syscall.EAGAIN && !v.pending():
			d.park(v)
			return
		case err == syscall.EAGAIN, err == errHeadTooLarge, err == errHeadsFull:
			r.promote(v)
			return
		default:
			r.dismiss(v)
			return
		}
		full := v.end == len(v.buf)
		for v.pending() {
			head, err := v.head()
			if err == nil && head == nil && full {
				break
			}
			if err != nil || head == nil {
				r.promote(v)
				return
			}
			switch d.quick(v, head) {
			case refused:
				r.promote(v)
				return
			case waits:
				return
			}
			v.consume(len(head))
		}
		if len(v.rest) > 0 || v.leaving {
			r.promote(v)
			return
		}
		if !full && !hangUp {
			d.park(v)
			return
		}
	}
	r.promote(v)
}

// park parks a visitor that the poller itself has claimed: it cannot have missed an event meanwhile.
func (d *desk) park(v *visitor) {
	v.state.Store(parked)
	d.r.left(v)
}

// verdict is what a desk did with a request.
type verdict uint8

const (
	refused  verdict = iota // it did not send an answer: a goroutine has to
	answered                // it is answered
	waits                   // it is held: the visitor is not the caller's any more
)

// quick answers one request of a visitor that a poller has, or lets it wait.
func (d *desk) quick(v *visitor, b []byte) verdict {
	s := v.s
	if v.r.draining.Load() || len(v.rest) > 0 || v.leaving {
		return refused
	}
	begin := s.now()
	d.head, d.res = head{}, Response{}
	h, res := &d.head, &d.res
	parseHead(b, s.extra, h)
	h.Remote, h.Vouched = v.Conn.RemoteAddr(), v.vouched.Load()
	if h.bad != 0 || h.close || h.Method != MethodGet && h.Method != MethodHead || !s.opts.Quick(&h.Request) {
		return refused
	}
	d.answer(&h.Request, res)
	if res.Hold != nil {
		s.stats.Held.Add(1)
		s.stats.parked.Add(1)
		s.stats.HeldTotal.Add(1)
		v.asked = true
		v.settle()
		v.r.hold(v, res.Hold, begin, begin+int64(res.HoldFor), false)
		return waits
	}
	return d.send(v, len(b), begin, false)
}

// resume answers the request of a visitor who has waited, who is the caller's. waited says that its time is up.
func (d *desk) resume(v *visitor, waited bool) {
	r := v.r
	s, since, until := v.s, v.turn.since, v.turn.until
	waits := true // it counts as held
	leave := func() {
		if waits {
			waits = false
			s.stats.Held.Add(-1)
			s.stats.parked.Add(-1)
		}
	}
	defer func() {
		if p := recover(); p != nil {
			leave()
			r.failed(p)
			r.dismiss(v)
		}
	}()
	begin := s.now()
	b, err := v.head()
	d.head, d.res = head{}, Response{}
	h, res := &d.head, &d.res
	if err == nil {
		parseHead(b, s.extra, h)
		h.Remote, h.Vouched, h.Held, h.Waited = v.Conn.RemoteAddr(), v.vouched.Load(), true, waited
		d.answer(&h.Request, res)
	}
	if res.Hold != nil && !waited && !r.draining.Load() {
		waits = false // who takes it out of its lane counts it
		r.hold(v, res.Hold, since, until, true)
		return
	}
	leave()
	if res.Hold != nil {
		*res = Response{}
		s.opts.Handler.Refuse(503, res)
	}
	if err != nil || d.send(v, len(b), begin, true) == refused {
		r.promote(v)
		return
	}
	v.consume(len(b))
	if len(v.rest) > 0 || v.leaving || v.pending() {
		r.promote(v)
		return
	}
	d.park(v)
	if v.sock.seen.Swap(false) && v.claim() { // something came meanwhile
		r.promote(v)
	}
}

// send sends an answer as far as that takes no waiting. What is refused is left to the visitor's goroutine.
func (d *desk) send(v *visitor, size int, begin int64, held bool) verdict {
	s, h, res := v.s, &d.head, &d.res
	if res.Pieces != nil || res.File != nil || res.Length > copyLimit {
		out := s.outbox()
		out.res, *res = *res, Response{}
		v.owed = &owed{out: out, method: h.Method, size: size, begin: begin, held: held}
		return refused
	}
	v.asked, v.leaving = true, res.Close
	v.settle()
	v.vouch(res)
	d.text = s.appendHead(d.text[:0], res, res.Close)
	head := len(d.text)
	if h.Method != MethodHead {
		d.text = append(d.text, res.Bytes[res.Offset:res.Offset+res.Length]...)
	}
	n, err := v.sock.tryWrite(d.text)
	now := s.now()
	v.mark.Store(now)
	outcome := Outcome{Status: res.Status, Class: res.Class, Sent: int64(max(0, n-head)), Took: time.Duration(now - begin), Held: held}
	if n < len(d.text) && (err == nil || err == syscall.EAGAIN) {
		v.rest, v.outcome = bytes.Clone(d.text[n:]), outcome
		v.outcome.Sent = int64(n - head) // negative if the rest includes part of the head
		s.stats.leftover.Add(int64(len(v.rest)))
		v.mark.Store(-now)
		return answered
	}
	s.opts.Done(outcome) // if the connection broke, the next look at it will tell
	return answered
}
