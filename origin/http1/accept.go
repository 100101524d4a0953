package http1

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// accept accepts connections until the listener is closed; base is the context of their requests. It waits out temporary errors, such as a
// shortage of file descriptors.
func (r *run) accept(ctx, base context.Context, l net.Listener) error {
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			r.connection(base, c)
			continue
		case errors.Is(err, net.ErrClosed):
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept: %w", err)
		}
		r.opts.Warn("http-accept", "system", "viewers cannot connect: is the limit of open files too low?", "err", err)
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
}

// connection admits one connection. When every place is taken, the one that has waited longest is closed for it: first those before their
// first request, then those between two, then those with a very long answer. If none can be closed, the new one is a guest.
func (r *run) connection(base context.Context, nc net.Conn) {
	r.stats.Accepted.Add(1)
	r.stats.Connections.Add(1)
	r.open.Add(1)
	if s := socketOf(nc); s != nil && r.opts.MaxUnsent > 0 {
		limitUnsent(s, r.opts.MaxUnsent)
	}
	v := &visitor{r: r, conn: conn{Conn: nc, s: r.Server, done: r.open.Done}}
	v.of, v.reader.heads = v, &r.heads
	v.mark.Store(r.now())
	guest := !r.room()
	if guest || r.tls != nil || !r.poll(v) {
		r.enter(v, guest)
		go r.loop(base, v)
	}
}

// socketOf is the socket of a connection, or of the one beneath it that it tells of; nil where there is none.
func socketOf(c net.Conn) syscall.Conn {
	for {
		if s, ok := c.(syscall.Conn); ok {
			return s
		}
		above, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = above.NetConn()
	}
}

// room reports whether there is a place for a new connection, possibly after closing another.
func (s *Server) room() bool {
	victim, why, ok := s.table.room(s.now())
	if victim == nil {
		return ok
	}
	s.opts.Warn("http-full", "all", "all places for connections are taken: those that have asked for nothing, then idle ones, go for new ones. Raise http.max_connections if these are viewers",
		"open", s.stats.Connections.Load())
	switch why {
	case unasked:
		s.stats.EvictedUnasked.Add(1)
	case idle:
		s.stats.EvictedIdle.Add(1)
	default:
		s.stats.EvictedSlow.Add(1)
	}
	victim.evict()
	return true
}

// enter adds a new connection to the table.
func (r *run) enter(v *visitor, guest bool) {
	if v.guest.Store(guest); !guest {
		r.table.enter(v)
	} else if oldest := r.table.host(v); oldest != nil {
		r.stats.Refused.Add(1)
		oldest.evict()
	}
}

// evict closes a connection that another goroutine may be using.
func (v *visitor) evict() {
	if v.claim() {
		v.r.dismiss(v)
		return
	}
	if v.drop() {
		return
	}
	_ = v.Conn.Close() // whoever uses it notices, and dismisses it
	if v.claim() {     // it was parked meanwhile, and a closed connection wakes no poller
		v.r.dismiss(v)
	} else {
		v.drop()
	}
}
