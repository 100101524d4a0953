package http1

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// parking is a visitor's place at a poller while it has no request: it then needs no goroutine.
type parking struct {
	sock  *sock // nil: its goroutine keeps it to the end
	state atomic.Int32
	turn  turn // while it is held
}

// States of a visitor with a sock.
const (
	taken  int32 = iota // claimed by a goroutine, or by the poller while it answers
	parked              // unclaimed: input wakes the poller
	held                // nobody: it stands in a lane, and only its leaving is of interest
)

// polls are the pollers of a run.
type polls struct {
	list   []*poller
	turn   int            // which poller gets the next connection; used by the accepting goroutine
	loop   func(*visitor) // gives a visitor a goroutine
	answer func(*Request, *Response)
	wait   sync.WaitGroup
}

// maxPollers is more than a machine's network can keep busy.
const maxPollers = 8

// startPolls begins to watch connections; without it, each keeps a goroutine. ctx is the context of their requests. TLS connections are
// never watched: how much of a record has arrived is known only to the record layer.
func (r *run) startPolls(ctx context.Context) {
	if r.tls != nil {
		return
	}
	r.polls.loop = func(v *visitor) { go r.loop(ctx, v) }
	r.polls.answer = func(req *Request, res *Response) { r.opts.Handler.Answer(ctx, req, res) }
	every := min(max(min(r.opts.HeaderTimeout, r.opts.IdleTimeout)/8, 5*time.Millisecond), time.Second)
	for range min(runtime.GOMAXPROCS(0), maxPollers) {
		d := &desk{r: r, answer: r.polls.answer}
		p, err := newPoller(d.serve, r.sweep, every)
		if err != nil {
			r.opts.Warn("http-poll", "system", "connections cannot be polled, each keeps a goroutine", "err", err)
			return
		}
		r.polls.list = append(r.polls.list, p)
		r.polls.wait.Go(p.run)
	}
}

func (r *run) stopPolls() {
	for _, p := range r.polls.list {
		p.close()
	}
	r.polls.wait.Wait()
}

// poll gives a new connection to a poller. It returns false if the connection needs a goroutine.
func (r *run) poll(v *visitor) bool {
	if len(r.polls.list) == 0 {
		return false
	}
	p := r.polls.list[r.polls.turn%len(r.polls.list)]
	k := p.adopt(v.Conn)
	if k == nil {
		return false
	}
	r.polls.turn++
	v.Conn, v.sock = k, k
	v.state.Store(parked)
	r.enter(v, false)
	if err := p.watch(v); errors.Is(err, net.ErrClosed) {
		return true // it was closed at once, and whoever closed it has dismissed it
	} else if err != nil {
		r.opts.Warn("http-poll", "system", "a new connection cannot be polled and is lost", "err", err)
		if v.claim() {
			r.dismiss(v)
		}
		return true
	}
	r.left(v)
	return true
}

// drop closes a visitor that is held; false where it is not.
func (v *visitor) drop() bool {
	gone := v.sock != nil && v.r.unhold(v)
	if gone {
		v.r.dismiss(v)
	}
	return gone
}

// claim claims a parked visitor. It returns false if another goroutine has it.
func (v *visitor) claim() bool { return v.sock != nil && v.state.CompareAndSwap(parked, taken) }

// park leaves a visitor without a request to its poller. If it returns true, the visitor no longer belongs to the caller.
func (v *visitor) park() bool {
	if v.sock == nil || v.pending() || v.r.draining.Load() {
		return false
	}
	v.idleSince = 0 // the next deadline to set is a new one
	v.mark.Store(v.s.now())
	for {
		v.state.Store(parked)
		if !v.sock.seen.Swap(false) {
			v.r.left(v)
			return true
		}
		if !v.claim() {
			return true
		}
		if err := v.fill(instant{v.sock}, v); err != syscall.EAGAIN {
			v.sock.seen.Store(true) // there may be more
			return false            // the loop reads what it is
		}
	}
}

// left handles a visitor that was parked just when the server began to stop, which looks for parked visitors, or when it was evicted: then
// nothing wakes the poller for it.
func (r *run) left(v *visitor) {
	switch gone := v.sock.gone(); {
	case !gone && !r.draining.Load(), !v.claim():
	case gone:
		r.dismiss(v)
	default:
		r.promote(v)
	}
}

// sweep drops a visitor that has been parked for too long. It looks at each of them each second, and so claims none that has time left.
func (r *run) sweep(v *visitor) {
	limit := int64(r.opts.IdleTimeout)
	if !v.settled.Load() {
		limit = int64(r.opts.HeaderTimeout)
	}
	now := r.now()
	if now-v.mark.Load() < limit || !v.claim() {
		return
	}
	if now-v.mark.Load() < limit { // it was answered just now
		v.state.Store(parked)
		r.left(v)
		return
	}
	r.dismiss(v)
}

// promote gives a visitor that the poller has claimed to a goroutine. This must read the socket before it parks the visitor: not everything
// that the poller was told of has been read.
func (r *run) promote(v *visitor) {
	v.sock.seen.Store(true)
	r.polls.loop(v)
}

// instant reads a sock without waiting.
type instant struct{ *sock }

func (i instant) Read(p []byte) (int, error) { return i.tryRead(p) }
