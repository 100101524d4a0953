package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// visitor is a connection and what is known about its client. For HTTP/1.1 it has a loop of its own, as much as a server without request
// bodies needs. The reason is that most requests to an origin are polls of something small, and net/http spends more on each than the
// answer itself costs.
type visitor struct {
	conn
	reader
	parking
	r         *run
	tls       *tls.Conn // over conn; nil for plain
	asked     bool      // a request has come
	lastWrite error     // of an answer
	leaving   bool      // the last answer was sent
	idleSince int64     // when the read deadline was last set for a wait between two requests, in Server.now
	rest      []byte    // of an answer that did not fit into the socket at once
	outcome   Outcome   // of that answer
	owed      *owed     // an answer that the poller made and did not send

	// mark is the time, in Server.now, since when it has been waiting for a request, or, if negative, since when it has been answered.
	mark    atomic.Int64
	vouched atomic.Bool
	guest   atomic.Bool // there was no place for it
	settled atomic.Bool // the table knows that it has had a request
	http2   atomic.Bool // net/http has it

	in            place    // used by table, as are the next two
	before, after *visitor // in the same list
}

// stream returns what requests are read from and answers written to.
func (v *visitor) stream() net.Conn {
	if v.tls != nil {
		return v.tls
	}
	return &v.conn
}

// loop answers a connection's requests until it ends or can be parked. Between two requests it holds little more than the connection.
func (r *run) loop(ctx context.Context, v *visitor) {
	r.stats.loops.Add(1)
	defer r.stats.loops.Add(-1)
	keep := false
	defer func() {
		if !keep {
			r.dismiss(v)
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			r.failed(p)
		}
	}()
	if r.tls != nil && v.tls == nil {
		if keep = r.handshake(ctx, v); keep || v.tls == nil {
			return
		}
	}
	if len(v.rest) > 0 && v.sendRest() != nil {
		return
	}
	if v.leaving {
		v.linger()
		return
	}
	if v.owed != nil && !v.sendOwed() {
		return
	}
	if v.asked { // the poller has answered it, and there may be no further request now
		if keep = v.park(); keep {
			return
		}
	}
	for {
		head, err := v.next()
		if err != nil {
			v.refuse(err)
			return
		}
		if !v.serve(ctx, head) {
			return
		}
		v.consume(len(head))
		if keep = v.park(); keep {
			return
		}
	}
}

// failed logs that a handler panicked. It has harmed only its own connection.
func (s *Server) failed(p any) {
	s.opts.Warn("http-panic", "server", "a request failed, its connection is closed: this is a fault of the server, please report it", "panic", p, "stack", string(debug.Stack()))
}

// handshake does the TLS handshake. If it returns true, net/http has the connection. If v.tls is nil, there is no TLS.
func (r *run) handshake(ctx context.Context, v *visitor) (given bool) {
	limit := r.opts.HeaderTimeout
	if v.guest.Load() {
		limit = min(limit, guestTime)
	}
	if v.Conn.SetDeadline(time.Now().Add(limit)) != nil {
		return false
	}
	c := tls.Server(&v.conn, r.tls)
	r.stats.tls.Add(1)
	v.armed = 0
	if err := c.HandshakeContext(ctx); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			r.stats.SlowHeaders.Add(1)
		}
		r.stats.tls.Add(-1)
		return false
	}
	v.tls = c
	if v.Conn.SetDeadline(time.Time{}) != nil {
		return false
	}
	if v.armed = 0; c.ConnectionState().NegotiatedProtocol != "h2" {
		return false
	}
	v.http2.Store(true)
	done := v.done
	v.done = func() { // net/http closes it, and does nothing more about it
		r.stats.tls.Add(-1)
		r.table.leave(v)
		done()
	}
	r.given.give(c)
	return true
}

// dismiss ends a connection.
func (r *run) dismiss(v *visitor) {
	v.release()
	r.stats.leftover.Add(-int64(len(v.rest)))
	if v.owed != nil {
		r.putBack(v.owed.out)
	}
	if v.tls != nil {
		v.last.Store(true)
		if v.lastWrite == nil {
			_ = v.tls.Close()
		}
		r.stats.tls.Add(-1)
	}
	_ = v.conn.Close()
	r.table.leave(v)
}

// sendRest sends what the poller could not send.
func (v *visitor) sendRest() error {
	began := v.s.now()
	n, err := v.write(v.rest)
	v.outcome.Sent += n
	v.outcome.Took += time.Duration(v.s.now() - began)
	v.s.opts.Done(v.outcome)
	v.s.stats.leftover.Add(-int64(len(v.rest)))
	v.rest = nil
	v.mark.Store(v.s.now())
	return err
}

// next waits for a complete request head.
func (v *visitor) next() ([]byte, error) {
	first, graced := !v.asked, false
	for late := false; ; {
		head, err := v.head()
		if head != nil || err != nil {
			if late {
				v.idleSince = 0 // the deadline in force was only for this head
			}
			return head, err
		}
		if err := v.arm(&late, first); err != nil {
			return nil, err
		}
		if v.r.draining.Load() && !v.pending() {
			// A client that has just connected may have sent a request already, and gets a moment; an idle one is closed.
			if !first || graced {
				return nil, net.ErrClosed
			}
			graced = true
			if err := v.Conn.SetReadDeadline(time.Now().Add(drainGrace)); err != nil {
				return nil, err
			}
		}
		if err := v.fill(v.stream(), v); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				if v.r.draining.Load() && first && !graced && !v.pending() {
					continue
				}
				if v.pending() {
					v.s.stats.SlowHeaders.Add(1)
				}
			}
			return nil, err
		}
	}
}

// drainGrace is what a connection without any request gets when the server stops.
const drainGrace = 50 * time.Millisecond

// arm sets the read deadline: IdleTimeout between requests, HeaderTimeout once a head has begun, and for the first one. The idle deadline
// is renewed only after a part of it has passed, because setting it is a large part of the cost of a request.
func (v *visitor) arm(late *bool, first bool) error {
	o := &v.s.opts
	switch {
	case *late:
		return nil
	case v.guest.Load():
		*late = true
		return v.Conn.SetReadDeadline(time.Now().Add(min(o.HeaderTimeout, guestTime)))
	case v.pending() || first:
		*late = true
		return v.Conn.SetReadDeadline(time.Now().Add(o.HeaderTimeout))
	}
	now := v.s.now()
	if v.idleSince != 0 && now-v.idleSince < int64(o.IdleTimeout/64) {
		return nil
	}
	v.idleSince = now
	return v.Conn.SetReadDeadline(time.Now().Add(o.IdleTimeout))
}

// guestTime is how long a connection beyond the limit has for its request.
const guestTime = time.Second

// refuse answers input that cannot be read as a request, and ends the connection.
func (v *visitor) refuse(err error) {
	status := 0
	switch {
	case errors.Is(err, errHeadTooLarge) && v.tooLong():
		status = 414
	case errors.Is(err, errHeadTooLarge):
		status = 431
	case errors.Is(err, errHeadMalformed):
		status = 400
	case errors.Is(err, errHeadsFull):
		status = 503
	default:
		return // the client left, or was too slow
	}
	v.s.stats.Malformed.Add(1)
	out := v.s.outbox()
	defer v.s.putBack(out)
	v.s.opts.Handler.Refuse(status, &out.res)
	if _, err := v.send(out, MethodGet, true); err == nil {
		v.linger()
	}
	v.s.opts.Done(Outcome{Status: out.res.Status, Class: out.res.Class})
}

// serve answers one request. It returns false if the connection ends with it.
func (v *visitor) serve(ctx context.Context, b []byte) bool {
	s := v.s
	begin := s.now()
	v.asked = true
	v.mark.Store(-begin)
	s.stats.InFlight.Add(1)
	defer s.stats.InFlight.Add(-1)

	out := s.outbox()
	defer s.putBack(out)
	h, res := &out.head, &out.res
	parseHead(b, s.extra, h)
	v.settle()
	held := false
	switch {
	case h.bad != 0:
		s.stats.Malformed.Add(1)
		s.opts.Handler.Refuse(h.bad, res)
	case v.guest.Load() && !v.welcome(h):
		s.stats.Refused.Add(1)
		s.opts.Handler.Refuse(503, res)
	default:
		h.Remote, h.Vouched = v.Conn.RemoteAddr(), v.vouched.Load()
		s.opts.Handler.Answer(ctx, &h.Request, res)
		v.vouch(res)
		if res.Hold != nil {
			held = true
			if v.await(ctx, &h.Request, res) != nil {
				return false
			}
		}
	}
	return v.finish(out, h.Method, h.close, begin, held)
}

// finish sends an answer. It returns false if the connection ends with it, which close asks for.
func (v *visitor) finish(out *outbox, method Method, close bool, begin int64, held bool) bool {
	s, res := v.s, &out.res
	done := close || res.Close || v.guest.Load() || v.r.draining.Load()
	sent, err := v.send(out, method, done)
	end := s.now()
	v.mark.Store(end)
	s.opts.Done(Outcome{Status: res.Status, Class: res.Class, Sent: sent, Took: time.Duration(end - begin), Held: held})
	if v.lastWrite = err; err == nil && done {
		v.linger()
	}
	return err == nil && !done
}

// welcome reports whether a guest's first request is answered.
func (v *visitor) welcome(h *head) bool {
	h.Remote = v.Conn.RemoteAddr()
	switch v.s.opts.Rank(&h.Request) {
	case Urgent:
		h.close = true
		return true
	case Trusted:
		victim, ok := v.s.table.force()
		if victim != nil {
			victim.evict()
		}
		if ok {
			v.guest.Store(false)
			v.settle()
		} else {
			h.close = true // all others are trusted and busy: it is treated as urgent
		}
		return true
	}
	return false
}

// settle records that the connection has had a request.
func (v *visitor) settle() {
	if v.guest.Load() || v.settled.Load() || v.settled.Swap(true) {
		return
	}
	v.s.table.settle(v)
}

// vouch records that an answer vouches for its client.
func (v *visitor) vouch(res *Response) {
	if res.Vouch && !v.vouched.Load() {
		v.vouched.Store(true)
	}
}

// await holds a request while another goroutine watches whether its client stays.
func (v *visitor) await(ctx context.Context, req *Request, res *Response) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if v.end == len(v.buf) {
		return v.s.await(ctx, req, res) // no room to watch: the timeout of the hold is bound enough
	}
	if err := v.Conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	watched := make(chan int)
	go func() {
		n, err := v.stream().Read(v.buf[v.end:]) // a pipelined request may be read as well
		if n == 0 && err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			cancel() // the client has left; a deadline only means that the hold or the server ends
		}
		watched <- n
	}()
	err := v.s.await(ctx, req, res)
	v.idleSince = 0
	unblocked := v.Conn.SetReadDeadline(past)
	v.end += <-watched
	return errors.Join(err, unblocked)
}

// lingerTime and lingerBytes bound how long a closing connection keeps reading, so that the client can read the answer before the kernel
// resets the connection because of unread bytes (RFC 9112 9.6).
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

func (v *visitor) linger() {
	half, ok := v.Conn.(interface{ CloseWrite() error })
	if v.tls != nil {
		half, ok = v.tls, true
		v.last.Store(true)
	}
	if !ok || half.CloseWrite() != nil || v.Conn.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, readerOnly{v.Conn}, lingerBytes)
}

// readerOnly hides everything but Read.
type readerOnly struct{ io.Reader }
