package http1

import (
	"context"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
)

// narrow is a listener whose connections accept little at once.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return c, err
}

// TestWhatDidNotFitAtOnce checks that a client whose answer was sent in two parts is then as idle as any other: it keeps no goroutine, and
// counts as waiting.
func TestWhatDidNotFitAtOnce(t *testing.T) {
	r := &rig{t: t, echo: &echo{}}
	r.s = New(Options{Handler: r.echo, Quick: func(*Request) bool { return true }})
	addr := r.serve(func(ctx context.Context, l net.Listener) error { return r.s.Serve(ctx, narrow{l}) })
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
	}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n := range 3 {
		const size = 30_000
		if _, err := fmt.Fprintf(c, "GET /body/%d HTTP/1.1\r\nHost: h\r\n\r\n", size); err != nil {
			t.Fatal(err)
		}
		await(t, "a part of the answer waits", func() bool { return r.s.stats.leftover.Load() > 0 })
		got := replies(c, "GET")
		if len(got) != 1 || got[0].body != strings.Repeat("b", size) {
			t.Fatalf("answer %d: %d bytes", n, len(got))
		}
		await(t, "its goroutine has ended", func() bool { return r.s.stats.loops.Load() == 0 })
		for _, v := range all(r.s) {
			if v.mark.Load() < 0 {
				t.Error("it counts as being answered")
			}
		}
	}
}

// all returns the connections of a server.
func all(s *Server) (all []*visitor) {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	for v := s.table.lists[asked].first; v != nil; v = v.after {
		all = append(all, v)
	}
	return all
}

// TestClosedBeforeItIsWatched checks that a descriptor which may already be another's is not watched.
func TestClosedBeforeItIsWatched(t *testing.T) {
	p, err := newPoller(nil, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.epoll.Close()
	v := &visitor{}
	v.sock = &sock{poll: p, fd: 0, closed: true, event: make(chan struct{}, 1)}
	if err := p.watch(v); err != net.ErrClosed || len(p.visitors) != 0 {
		t.Errorf("%v, %d are watched", err, len(p.visitors))
	}
}

// A visitor that is evicted while a poller looks at it is parked by the poller a moment later, and must still end: nothing would ever wake
// it, and the server could not stop.
func TestVisitorThatGoesWhileThePollerHasIt(t *testing.T) {
	for name, later := range map[string]bool{"parked before it is closed": false, "parked after it was closed": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.dial("plain")
			var v *visitor
			await(t, "it to be parked", func() bool {
				r.s.table.mu.Lock()
				defer r.s.table.mu.Unlock()
				for i := range r.s.table.lists {
					if v = r.s.table.lists[i].first; v != nil {
						return v.claim() // as the poller does
					}
				}
				return false
			})
			if later {
				v.evict()
			}
			v.state.Store(parked) // as the poller does when it has found nothing
			v.r.left(v)
			if !later {
				v.evict()
			}
			await(t, "it to be dismissed", func() bool { return r.s.Stats().Connections.Load() == 0 })
		})
	}
}

// left reports whether nobody serves a visitor any more.
func (v *visitor) left() bool { return v.sock == nil || v.state.Load() == parked }
