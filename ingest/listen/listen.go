// Package listen is the one listener under every ingest server. It caps connections, in total and per address, and keeps accepting when the
// system runs short of a resource, where a server on a bare net.Listener would spin or give up. Beneath it, a Proxied learns the client's
// address from a trusted proxy. It refuses to look any further into a connection: everything else that arrives is for the server.
package listen

import (
	"container/list"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options of a Listener. A zero field means its default, a negative cap means none.
type Options struct {
	MaxConns      int // open connections; default 2000
	MaxPerAddress int // open connections from one IPv4 address or IPv6 /64; default 200. Loopback peers are exempt: they are proxies.

	// MinBackoff and MaxBackoff bound the wait after a failed Accept; it doubles in between. Default 5ms and 1s.
	MinBackoff, MaxBackoff time.Duration

	// Warn is called for each connection that is rejected and for each failed Accept; default nothing. It has the signature of
	// ingest.Episodes.Warn, which turns many calls into few lines.
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
	Displaced          atomic.Uint64 // idle connections closed for a newcomer
	AcceptErrors       atomic.Uint64 // failed calls of Accept, each retried
}

// Listener is a net.Listener. Its connections release their places when they are closed.
//
// A full table still admits newcomers, as long as some of its connections are idle: see Settle.
type Listener struct {
	net.Listener
	Stats Stats

	opts   Options
	closed chan struct{}
	once   sync.Once
	places places
}

// New wraps l. Closing the result closes l.
func New(l net.Listener, o Options) *Listener {
	o = o.withDefaults()
	return &Listener{
		Listener: l, opts: o, closed: make(chan struct{}),
		places: places{total: o.MaxConns, each: o.MaxPerAddress, crowds: make(map[netip.Prefix]*crowd)},
	}
}

// SetCaps changes MaxConns and MaxPerAddress, which mean the same as in Options, for new connections. Lowering a cap closes none. It is
// safe for concurrent use.
func (l *Listener) SetCaps(maxConns, maxPerAddress int) {
	o := Options{MaxConns: maxConns, MaxPerAddress: maxPerAddress}.withDefaults()
	l.places.resize(o.MaxConns, o.MaxPerAddress)
}

// Accept waits for a connection within the caps. It returns an error only if the listener is closed.
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
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				l.displace(l.places.spare())
			}
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
		if c := (&conn{Conn: c, listener: l, from: prefixOf(c.RemoteAddr())}); l.enter(c) {
			l.Stats.Accepted.Add(1)
			return c, nil
		}
		_ = c.Close()
	}
}

// Close stops Accept. Open connections stay open.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// enter gives c a place if there is one, or if one can be freed.
func (l *Listener) enter(c *conn) bool {
	ok, victim, why, open := l.places.enter(c)
	if ok {
		l.Stats.Open.Add(1)
	}
	l.displace(victim)
	on, from := l.Addr().String(), c.from.String()
	switch {
	case why == fullAll && ok:
		l.opts.Warn("newcomers", on, "max_connections is reached: for each newcomer the connection goes that has waited longest and is not at work", "open", open, "on", on, "peer", c.RemoteAddr())
	case why == fullAll:
		l.Stats.RejectedTotal.Add(1)
		l.opts.Warn("max_connections", on, "connections are turned away: max_connections is reached, and all of them are at work", "open", open, "on", on, "peer", c.RemoteAddr())
	case why == fullEach && ok:
		l.opts.Warn("newcomers per address", from, "max_connections_per_address is reached: for each newcomer the connection of its address goes that has waited longest and is not at work", "open", open, "on", on, "address", from)
	case why == fullEach:
		l.Stats.RejectedPerAddress.Add(1)
		l.opts.Warn("max_connections_per_address", from, "connections are turned away: max_connections_per_address is reached, and all of them are at work", "open", open, "on", on, "address", from)
	}
	return ok
}

// displace closes a connection that has lost its place; nil means none.
func (l *Listener) displace(c *conn) {
	if c == nil {
		return
	}
	l.Stats.Displaced.Add(1)
	_ = c.Close()
}

// Settle marks a connection of a Listener as busy, or as waiting: for a handshake, for credentials, for the next request. A new connection
// is waiting. Waiting connections make room for newcomers when places run short. c may be a wrapper, such as TLS, that has a NetConn
// method. Connections of no Listener are ignored.
func Settle(c net.Conn, busy bool) {
	for c != nil {
		switch at := c.(type) {
		case *conn:
			at.listener.places.settle(at, busy)
			return
		case interface{ NetConn() net.Conn }:
			c = at.NetConn()
		default:
			return
		}
	}
}

// conn releases its place once.
type conn struct {
	net.Conn
	listener *Listener
	from     netip.Prefix // what its peer is counted by
	once     sync.Once

	// Managed by places, under its lock.
	waits *list.Element // in its crowd; nil while it is busy
	since uint64        // when it began to wait, in the order of all that wait
	gone  bool          // it has lost its place
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.listener.places.leave(c)
		c.listener.Stats.Open.Add(-1)
	})
	return err
}

// CloseWrite closes the sending direction if the connection can, so that a last message is not lost.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection beneath, for socket options.
func (c *conn) NetConn() net.Conn { return c.Conn }
