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
	if !v.claim() {
		v.sock.seen.Store(true)
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
			if err != nil || head == nil || !d.quick(v, head) {
				r.promote(v)
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

// quick answers one request of a visitor that a poller has claimed. It returns false, without having done anything, if a goroutine must
// answer.
func (d *desk) quick(v *visitor, b []byte) bool {
	s := v.s
	if v.r.draining.Load() || len(v.rest) > 0 || v.leaving {
		return false
	}
	begin := s.now()
	d.head, d.res = head{}, Response{}
	h, res := &d.head, &d.res
	parseHead(b, s.extra, h)
	h.Remote, h.Vouched = v.Conn.RemoteAddr(), v.vouched.Load()
	if h.bad != 0 || h.close || h.Method != MethodGet && h.Method != MethodHead || !s.opts.Quick(&h.Request) {
		return false
	}
	d.answer(&h.Request, res)
	if res.Hold != nil || res.Pieces != nil || res.File != nil || res.Length > copyLimit {
		res.release()
		return false
	}
	v.asked, v.leaving = true, res.Close
	v.settle()
	v.vouch(res)
	d.text = s.appendHead(d.text[:0], res, res.Close)
	size := len(d.text)
	if h.Method != MethodHead {
		d.text = append(d.text, res.Bytes[res.Offset:res.Offset+res.Length]...)
	}
	n, err := v.sock.tryWrite(d.text)
	now := s.now()
	v.mark.Store(now)
	outcome := Outcome{Status: res.Status, Class: res.Class, Sent: int64(max(0, n-size)), Took: time.Duration(now - begin)}
	if n < len(d.text) && (err == nil || err == syscall.EAGAIN) {
		v.rest, v.outcome = bytes.Clone(d.text[n:]), outcome
		v.outcome.Sent = int64(n - size) // negative if the rest includes part of the head
		s.stats.leftover.Add(int64(len(v.rest)))
		v.mark.Store(-now)
		return true
	}
	s.opts.Done(outcome) // if the connection broke, the next look at it will tell
	return true
}
