// Package listen is the one listener under every ingest server. It caps connections, in total and per address, and keeps
// accepting when the system runs short of something, where a server on a bare net.Listener would spin or give up. Beneath it a
// Proxied learns from a trusted proxy whose connection it is. It refuses to look any further into a connection: whatever comes
// through is the server's.
package listen

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Listener. A zero field means its default, a negative cap none.
type Options struct {
	MaxConns      int // connections open at a time; default 2000
	MaxPerAddress int // the same from one IPv4 address or one IPv6 /64; default 200. Loopback peers are exempt: they are proxies.

	// MinBackoff and MaxBackoff bound the wait after a failed Accept; it doubles in between. Default 5ms and 1s.
	MinBackoff, MaxBackoff time.Duration

	// Warn is called for each connection that is turned away, and for each failed Accept: default nothing. ingest.Episodes has
	// it, and makes few lines of many.
	Warn func(kind, who, msg string, args ...any)
}

func (o Options) withDefaults() Options {
	if o.MaxConns == 0 {
		o.MaxConns = 2000
	}
	if o.MaxPerAddress == 0 {
		o.MaxPerAddress = 200
	}
	if o.MinBackoff == 0 {
		o.MinBackoff = 5 * time.Millisecond
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = time.Second
	}
	if o.Warn == nil {
		o.Warn = func(string, string, string, ...any) {}
	}
	return o
}

// Stats may be read at any time.
type Stats struct {
	Open               atomic.Int64  // connections open now
	Accepted           atomic.Uint64 // connections handed to the server
	RejectedTotal      atomic.Uint64 // connections closed because MaxConns was reached
	RejectedPerAddress atomic.Uint64 // connections closed because MaxPerAddress was reached
	AcceptErrors       atomic.Uint64 // failed calls of Accept, each retried
}

// Listener is a net.Listener; its connections give their place back when they are closed.
type Listener struct {
	net.Listener
	Stats Stats

	opts   Options
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	byAddr map[netip.Prefix]int
}

// New wraps l. Closing the result closes l.
func New(l net.Listener, o Options) *Listener {
	return &Listener{Listener: l, opts: o.withDefaults(), closed: make(chan struct{}), byAddr: make(map[netip.Prefix]int)}
}

// Accept waits for a connection within the caps. It returns an error only when the listener is closed.
func (l *Listener) Accept() (net.Conn, error) {
	wait := l.opts.MinBackoff
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			l.Stats.AcceptErrors.Add(1)
			l.opts.Warn("accept", l.Addr().String(), "cannot accept connections, will go on trying: is the limit of open files too low?", "on", l.Addr().String(), "error", err)
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-l.closed:
				t.Stop()
				return nil, net.ErrClosed
			}
			wait = min(2*wait, l.opts.MaxBackoff)
			continue
		}
		wait = l.opts.MinBackoff
		if a, ok := l.enter(c.RemoteAddr()); ok {
			l.Stats.Accepted.Add(1)
			return &conn{Conn: c, leave: func() { l.leave(a) }}, nil
		}
		_ = c.Close()
	}
}

// Close stops Accept; open connections stay.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// enter takes a place; the prefix is invalid where the peer does not count per address.
func (l *Listener) enter(peer net.Addr) (netip.Prefix, bool) {
	a := prefixOf(peer)
	l.mu.Lock()
	defer l.mu.Unlock()
	if open := l.Stats.Open.Load(); l.opts.MaxConns > 0 && open >= int64(l.opts.MaxConns) {
		l.Stats.RejectedTotal.Add(1)
		l.opts.Warn("max_connections", l.Addr().String(), "connections are turned away: max_connections is reached", "open", open, "on", l.Addr().String(), "peer", peer)
		return a, false
	}
	if l.opts.MaxPerAddress > 0 && a.IsValid() && l.byAddr[a] >= l.opts.MaxPerAddress {
		l.Stats.RejectedPerAddress.Add(1)
		l.opts.Warn("max_connections_per_address", a.String(), "connections are turned away: max_connections_per_address is reached", "open", l.byAddr[a], "address", a)
		return a, false
	}
	l.Stats.Open.Add(1)
	if a.IsValid() {
		l.byAddr[a]++
	}
	return a, true
}

func (l *Listener) leave(a netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Stats.Open.Add(-1)
	if !a.IsValid() {
		return
	}
	if l.byAddr[a]--; l.byAddr[a] <= 0 {
		delete(l.byAddr, a)
	}
}

// prefixOf is what a peer is counted by.
func prefixOf(peer net.Addr) netip.Prefix {
	a, ok := addrOf(peer)
	if !ok || a.IsLoopback() || a.IsUnspecified() { // the last is whoever a proxy knows no address of
		return netip.Prefix{}
	}
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}

// conn gives its place back once.
type conn struct {
	net.Conn
	once  sync.Once
	leave func()
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}

// CloseWrite ends the sending direction where the connection can, so that a last message is not lost with it.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn is the connection beneath, for socket options.
func (c *conn) NetConn() net.Conn { return c.Conn }
