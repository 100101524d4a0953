package http1

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// beneath is a connection that tells of its socket only by NetConn, as that of a proxy's client.
type beneath struct{ net.Conn }

func (b beneath) NetConn() net.Conn { return b.Conn }

// proxies is a listener of such.
type proxies struct{ net.Listener }

func (p proxies) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return beneath{c}, nil
}

// TestKernelKeepsLittleForSlowClients holds that of a long answer to a client who takes nothing, little leaves the server: what the kernel keeps
// for it is charged to the server's cgroup.
func TestKernelKeepsLittleForSlowClients(t *testing.T) {
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"plain": func(l net.Listener) net.Listener { return l }, "behind a proxy": func(l net.Listener) net.Listener { return proxies{l} },
	} {
		t.Run(name, func(t *testing.T) {
			const unsent, window = 128 << 10, 64 << 10
			sent := make(chan int64, 1)
			h := &lender{}
			var told atomic.Bool
			s := New(Options{Handler: h, WriteTimeout: 200 * time.Millisecond, MaxUnsent: unsent, Done: func(o Outcome) {
				if !told.Swap(true) {
					sent <- o.Sent
				}
			}})
			r := &rig{t: t, s: s}
			c, err := net.Dial("tcp", r.serve(func(ctx context.Context, l net.Listener) error { return s.Serve(ctx, wrap(l)) }))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.(*net.TCPConn).SetReadBuffer(window)
			if _, err := io.WriteString(c, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			select {
			case n := <-sent: // what the kernel took, a client's window among it
				if n > 1<<20 {
					t.Errorf("the kernel took %d bytes", n)
				}
			case <-time.After(20 * time.Second):
				t.Error("the client is not given up")
			}
		})
	}
}
