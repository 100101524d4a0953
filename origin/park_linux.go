package origin

import (
	"bytes"
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// parking is a viewer's place at a poller, for as long as it has asked for nothing: no goroutine is kept for it then.
type parking struct {
	sock  *sock // nil: its goroutine keeps it for good
	place atomic.Int32
	since atomic.Int64 // when it was parked, in nanoseconds since polls.began
}

// Who has a viewer with a sock.
const (
	taken  int32 = iota // a goroutine, or the poller while it answers
	parked              // nobody: what comes wakes the poller
)

// polls is the pollers of a server.
type polls struct {
	list []*poller
	// began is what times are counted from: unlike those of the calendar, such do not jump when the clock is set.
	began time.Time
	turn  int           // whose the next connection will be; of the accepting goroutine
	loop  func(*viewer) // gives a viewer a goroutine
	wait  sync.WaitGroup
}

// at is a time in nanoseconds since began.
func (p *polls) at(t time.Time) int64 { return int64(t.Sub(p.began)) }

// maxPollers is more than a machine's line can keep busy.
const maxPollers = 8

// startPolls begins watching connections; without it, each keeps a goroutine. ctx is that of their requests.
func (s *server) startPolls(ctx context.Context) {
	if s.tls != nil || s.o.opts.NetHTTP {
		return
	}
	s.polls.began = s.o.opts.Now()
	s.polls.loop = func(v *viewer) { go s.loop(ctx, v) }
	every := min(max(min(s.o.opts.ReadHeaderTimeout, s.o.opts.IdleTimeout)/8, 5*time.Millisecond), time.Second)
	for range min(runtime.GOMAXPROCS(0), maxPollers) {
		d := &desk{s: s, answer: func(req *request, res *response) { s.o.answer(ctx, req, res) }}
		p, err := newPoller(d.serve, s.sweep, every)
		if err != nil {
			s.o.opts.Log.Warn("connections cannot be polled, each keeps a goroutine", "err", err)
			return
		}
		s.polls.list = append(s.polls.list, p)
		s.polls.wait.Go(p.run)
	}
}

func (s *server) stopPolls() {
	for _, p := range s.polls.list {
		p.close()
	}
	s.polls.wait.Wait()
}

// poll gives a new connection to a poller; false where it has to have a goroutine.
func (s *server) poll(v *viewer) bool {
	if len(s.polls.list) == 0 {
		return false
	}
	p := s.polls.list[s.polls.turn%len(s.polls.list)]
	k := p.adopt(v.Conn)
	if k == nil {
		return false
	}
	s.polls.turn++
	v.Conn, v.sock = k, k
	v.since.Store(s.polls.at(s.o.opts.Now()))
	v.place.Store(parked)
	s.remember(v)
	if err := p.watch(v); err != nil {
		s.o.opts.Log.Warn("a viewer's connection is lost", "err", err)
		s.dismiss(v)
		return true
	}
	s.left(v)
	return true
}

// claim takes a viewer that is parked; false where somebody has it.
func (v *viewer) claim() bool { return v.sock != nil && v.place.CompareAndSwap(parked, taken) }

// park leaves a viewer that has asked for nothing to its poller. After true it is not the caller's any more.
func (v *viewer) park() bool {
	if v.sock == nil || v.pending() || v.s.draining.Load() {
		return false
	}
	v.idleSince = time.Time{} // the deadline will be an old one
	v.since.Store(v.s.polls.at(v.o.opts.Now()))
	for {
		v.place.Store(parked)
		if !v.sock.seen.Swap(false) {
			v.s.left(v)
			return true
		}
		if !v.claim() {
			return true
		}
		if err := v.fill(instant{v.sock}); err != syscall.EAGAIN {
			v.sock.seen.Store(true) // there may be more
			return false            // the loop finds what it is
		}
	}
}

// left looks after a viewer that was parked just when the server began to stop, which finds those that are parked.
func (s *server) left(v *viewer) {
	if s.draining.Load() && v.claim() {
		s.promote(v)
	}
}

// sweep drops a viewer that has been parked for too long.
func (s *server) sweep(v *viewer) {
	limit := s.o.opts.IdleTimeout
	now := s.polls.at(s.o.opts.Now())
	if now-v.since.Load() < int64(min(limit, s.o.opts.ReadHeaderTimeout)) || !v.claim() {
		return
	}
	if !v.asked {
		limit = s.o.opts.ReadHeaderTimeout
	}
	if now-v.since.Load() < int64(limit) {
		v.place.Store(parked)
		s.left(v)
		return
	}
	s.dismiss(v)
}

// instant reads a sock without waiting.
type instant struct{ *sock }

func (i instant) Read(p []byte) (int, error) { return i.tryRead(p) }

// desk is where a poller answers: memory for one answer at a time.
type desk struct {
	s      *server
	answer func(*request, *response) // Origin.answer
	head   head
	res    response
	out    []byte
}

// deskTurns is how often the poller reads from one viewer before it looks at the others.
const deskTurns = 16

// serve answers what came from a parked viewer as far as that takes no waiting, and leaves the rest to a goroutine. hangUp
// says that the client has sent its last.
func (d *desk) serve(v *viewer, hangUp bool) {
	if !v.claim() {
		v.sock.seen.Store(true)
		if !v.claim() { // else it was parked just now, and before that was said
			v.sock.signal()
			return
		}
	}
	s := d.s
	defer func() {
		if p := recover(); p != nil {
			s.o.opts.Log.Error("request failed", "panic", p, "stack", string(debug.Stack()))
			s.dismiss(v)
		}
	}()
	for range deskTurns {
		switch err := v.fill(instant{v.sock}); {
		case err == nil:
		case err == syscall.EAGAIN && !v.pending():
			d.park(v)
			return
		case err == syscall.EAGAIN, err == errHeadTooLarge:
			s.promote(v)
			return
		default:
			s.dismiss(v)
			return
		}
		full := v.end == len(v.buf)
		for v.pending() {
			head, err := v.head()
			if err == nil && head == nil && full {
				break
			}
			if err != nil || head == nil || !d.quick(v, head) {
				s.promote(v)
				return
			}
			v.asked = true
			v.consume(len(head))
		}
		if len(v.rest) > 0 {
			s.promote(v)
			return
		}
		if !full && !hangUp {
			d.park(v)
			return
		}
	}
	s.promote(v)
}

// promote gives a viewer that the poller has to a goroutine, which has to look at the socket before it parks it: not all that
// the poller was told of has been read.
func (s *server) promote(v *viewer) {
	v.sock.seen.Store(true)
	s.polls.loop(v)
}

// park leaves a viewer again that the poller itself has had: nothing of it can have been missed meanwhile.
func (d *desk) park(v *viewer) {
	v.place.Store(parked)
	d.s.left(v)
}

// quick answers one request; false where a goroutine has to, and then nothing has been done.
func (d *desk) quick(v *viewer, b []byte) bool {
	o := d.s.o
	if d.s.draining.Load() || len(v.rest) > 0 {
		return false
	}
	begin := o.opts.Now()
	d.head, d.res = head{}, response{}
	h, res := &d.head, &d.res
	parseHead(b, d.s.secretField, h)
	if h.bad != 0 || h.close || !o.quick(&h.request) {
		return false
	}
	d.answer(&h.request, res)
	if res.hold != nil || res.length > copyLimit {
		return false
	}
	d.out = o.appendHead(d.out[:0], res, begin, false)
	size := len(d.out)
	if h.method != methodHead {
		d.out = append(d.out, res.bytes[res.offset:res.offset+res.length]...)
	}
	n, err := v.sock.tryWrite(d.out)
	if n < len(d.out) && (err == nil || err == syscall.EAGAIN) {
		v.rest, v.restKind = bytes.Clone(d.out[n:]), res.kind
	}
	// Where the connection broke, the next look at it will tell.
	now := o.opts.Now()
	v.since.Store(d.s.polls.at(now))
	o.stats.done(res, int64(max(0, n-size)), now.Sub(begin), false)
	return true
}
