package origin

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"time"
)

// viewer is a connection that the loop of our own serves: HTTP/1.1 as far as a server without request bodies needs it.
// It exists because polls of small playlists are most of an origin's requests, and net/http spends more on each than
// the answer itself costs.
type viewer struct {
	conn
	reader
	parking
	s         *server
	asked     bool      // a request has come
	idleSince time.Time // when the read deadline was last set
	rest      []byte    // of an answer that did not fit into the socket at once
	restKind  Kind
}

// loop answers one connection's requests until it ends or can be parked. Between two requests it holds little more than
// the connection.
func (s *server) loop(ctx context.Context, v *viewer) {
	keep := false
	defer func() {
		if !keep {
			s.dismiss(v)
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			s.o.opts.Log.Error("request failed", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if len(v.rest) > 0 {
		n, err := v.write(v.rest)
		s.o.stats.Bytes[v.restKind].Add(n)
		if v.rest = nil; err != nil {
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
		v.asked = true
		v.consume(len(head))
		if keep = v.park(); keep {
			return
		}
	}
}

// dismiss ends a viewer's connection.
func (s *server) dismiss(v *viewer) {
	v.release()
	v.Close()
	s.forget(v)
}

// next waits for a whole request head.
func (v *viewer) next() ([]byte, error) {
	first, graced := !v.asked, false
	for late := false; ; {
		head, err := v.head()
		if head != nil || err != nil {
			if late {
				v.idleSince = time.Time{} // the deadline in force was for this head alone
			}
			return head, err
		}
		if err := v.arm(&late, first); err != nil {
			return nil, err
		}
		if v.s.draining.Load() && !v.pending() {
			// Who has just connected may have sent a request already, and gets a moment; who was idle is closed.
			if !first || graced {
				return nil, net.ErrClosed
			}
			graced = true
			if err := v.Conn.SetReadDeadline(v.o.opts.Now().Add(drainGrace)); err != nil {
				return nil, err
			}
		}
		if err := v.fill(v.Conn); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				if v.s.draining.Load() && first && !graced && !v.pending() {
					continue
				}
				if v.pending() {
					v.o.stats.SlowHeaders.Add(1)
				}
			}
			return nil, err
		}
	}
}

// drainGrace is what a connection without any request yet gets when the server stops.
const drainGrace = 50 * time.Millisecond

// arm sets the read deadline: IdleTimeout between requests, ReadHeaderTimeout once a head has begun, and for a first
// one. The idle deadline is renewed only when a sixteenth of it is gone, because setting it costs a good part of what a
// request does.
func (v *viewer) arm(late *bool, first bool) error {
	o := v.o
	switch {
	case *late:
		return nil
	case v.pending() || first:
		*late = true
		return v.Conn.SetReadDeadline(o.opts.Now().Add(o.opts.ReadHeaderTimeout))
	}
	now := o.opts.Now()
	if now.Sub(v.idleSince) < o.opts.IdleTimeout/64 {
		return nil
	}
	v.idleSince = now
	return v.Conn.SetReadDeadline(now.Add(o.opts.IdleTimeout))
}

// refuse answers what cannot be read as a request, and ends the connection.
func (v *viewer) refuse(err error) {
	status := 0
	switch {
	case errors.Is(err, errHeadTooLarge) && v.tooLong():
		status = 414
	case errors.Is(err, errHeadTooLarge):
		status = 431
	case errors.Is(err, errHeadMalformed):
		status = 400
	default:
		return // the client left, or was too slow
	}
	var res response
	v.o.cors().apply(&request{}, &res)
	v.o.refuse(&res, status)
	v.send(&request{method: methodGet}, &res, v.o.opts.Now(), true)
	v.linger()
}

// refuse is the answer to a request that is none.
func (o *Origin) refuse(res *response, status int) {
	switch status {
	case 414:
		o.text(res, status, ageNever, "the URL is too long\n")
	case 431:
		o.text(res, status, ageNever, "the header fields are too large\n")
	case 505:
		o.text(res, status, ageNever, "this HTTP version is not spoken here\n")
	default:
		o.text(res, 400, ageNever, "malformed request\n")
	}
}

// serve answers one request; false where the connection ends with it.
func (v *viewer) serve(ctx context.Context, b []byte) bool {
	o := v.o
	begin := o.opts.Now()
	o.stats.InFlight.Add(1)
	defer o.stats.InFlight.Add(-1)

	var h head
	var res response
	parseHead(b, v.s.secretField, &h)
	held := false
	if h.bad != 0 {
		o.cors().apply(&h.request, &res)
		o.refuse(&res, h.bad)
	} else {
		o.answer(ctx, &h.request, &res)
		if res.hold != nil {
			held = true
			if v.await(ctx, &h.request, &res) != nil {
				return false
			}
		}
	}
	defer res.close()
	done := h.close || v.s.draining.Load()
	sent, err := v.send(&h.request, &res, begin, done)
	o.stats.done(&res, sent, o.opts.Now().Sub(begin), held)
	if err == nil && done {
		v.linger()
	}
	return err == nil && !done
}

// await holds a request while somebody watches whether its client stays.
func (v *viewer) await(ctx context.Context, req *request, res *response) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if v.end == len(v.buf) {
		return v.o.await(ctx, req, res) // no room to watch: the time-out of the hold is bound enough
	}
	if err := v.Conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	watched := make(chan int)
	go func() {
		n, err := v.Conn.Read(v.buf[v.end:]) // a pipelined request may be read as well
		if n == 0 && err != nil {
			cancel()
		}
		watched <- n
	}()
	err := v.o.await(ctx, req, res)
	v.idleSince = time.Time{}
	unblocked := v.Conn.SetReadDeadline(time.Unix(1, 0))
	v.end += <-watched
	return errors.Join(err, unblocked)
}

// lingerTime and lingerBytes bound how long a closing connection listens, so that the client reads the answer before the
// kernel resets the connection over unread bytes (RFC 9112 9.6).
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

func (v *viewer) linger() {
	half, ok := v.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || v.Conn.SetReadDeadline(v.o.opts.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, readerOnly{v.Conn}, lingerBytes)
}

// readerOnly hides everything but Read.
type readerOnly struct{ io.Reader }
