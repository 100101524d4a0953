package listen

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ProxyOptions of a Proxied. A zero field means its default.
type ProxyOptions struct {
	Trusted []netip.Prefix // the proxies' own addresses

	Timeout time.Duration // for the header to come; default 3s
	MaxWait int           // connections waiting for their header; further ones are closed. Default 256

	// Warn is called for a proxy's connection that is closed because of its header; default nothing. It has the signature of
	// ingest.Episodes.Warn.
	Warn func(kind, who, msg string, args ...any)
}

// Proxied is a listener behind proxies that say in a PROXY header for whom they connect. Each connection of a trusted proxy must begin with
// one, version 1 or 2, and has the client's address from then on; without one it is closed, since nobody could tell whose it is. From other
// peers no header is read, and so none is believed: it is part of what the peer sends, and no protocol of ours accepts it.
//
// Headers are awaited beside Accept, never in it.
type Proxied struct {
	net.Listener
	Headers atomic.Uint64 // read
	Bad     atomic.Uint64 // connections closed because their header was missing or wrong, or too many were waiting

	opts   ProxyOptions
	begin  sync.Once
	end    sync.Once
	ready  chan accepted
	closed chan struct{}
	wait   sync.WaitGroup

	mu      sync.Mutex
	waiting map[net.Conn]struct{} // waiting for their header; nil when the listener is closed
}

type accepted struct {
	conn net.Conn
	err  error
}

// NewProxied wraps l. Closing the result closes l and ends everything it started.
func NewProxied(l net.Listener, o ProxyOptions) *Proxied {
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	if o.MaxWait == 0 {
		o.MaxWait = 256
	}
	if o.Warn == nil {
		o.Warn = func(string, string, string, ...any) {}
	}
	return &Proxied{Listener: l, opts: o, ready: make(chan accepted), closed: make(chan struct{}), waiting: map[net.Conn]struct{}{}}
}

// Accept waits for a connection whose header, if it needs one, has been read.
func (p *Proxied) Accept() (net.Conn, error) {
	p.begin.Do(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.waiting != nil { // Close would wait at the same time
			p.wait.Go(p.run)
		}
	})
	select {
	case a := <-p.ready:
		return a.conn, a.err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close stops Accept and closes the connections whose header has not arrived.
func (p *Proxied) Close() error {
	var err error
	p.end.Do(func() {
		close(p.closed)
		err = p.Listener.Close()
		p.mu.Lock()
		for c := range p.waiting {
			_ = c.Close()
		}
		p.waiting = nil
		p.mu.Unlock()
		p.wait.Wait()
	})
	return err
}

// run accepts connections. It passes errors to the caller of Accept, who decides when to try again.
func (p *Proxied) run() {
	for {
		c, err := p.Listener.Accept()
		switch {
		case err != nil:
			p.hand(accepted{nil, err})
			if errors.Is(err, net.ErrClosed) {
				return
			}
		case !p.trusted(c.RemoteAddr()):
			p.hand(accepted{c, nil})
		case !p.enter(c):
			_ = c.Close()
		default:
			p.wait.Go(func() { p.header(c) })
		}
		select {
		case <-p.closed:
			return
		default:
		}
	}
}

// hand delivers a connection, or closes it if nobody accepts any more.
func (p *Proxied) hand(a accepted) {
	select {
	case p.ready <- a:
	case <-p.closed:
		if a.conn != nil {
			_ = a.conn.Close()
		}
	}
}

func (p *Proxied) enter(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.waiting == nil:
		return false
	case len(p.waiting) >= p.opts.MaxWait:
		p.refuse(c, errNoHeader, "too many connections wait for their PROXY header")
		return false
	}
	p.waiting[c] = struct{}{}
	return true
}

// header reads the header of a connection in time, and delivers the connection.
func (p *Proxied) header(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(p.opts.Timeout))
	source, err := readHeader(c)
	p.mu.Lock()
	open := p.waiting != nil
	delete(p.waiting, c)
	p.mu.Unlock()
	if err != nil || !open {
		if open {
			p.refuse(c, err, "a trusted proxy's connection is closed for its PROXY header: let the proxy send one, or take it off trusted_proxies")
		}
		_ = c.Close()
		return
	}
	p.Headers.Add(1)
	_ = c.SetReadDeadline(time.Time{})
	p.hand(accepted{&proxied{Conn: c, remote: address(source)}, nil})
}

func (p *Proxied) refuse(c net.Conn, err error, msg string) {
	p.Bad.Add(1)
	host := "unknown"
	if a, ok := addrOf(c.RemoteAddr()); ok {
		host = a.String()
	}
	p.opts.Warn("proxy", host, msg, "proxy", host, "on", p.Addr().String(), "error", err)
}

func (p *Proxied) trusted(peer net.Addr) bool {
	a, ok := addrOf(peer)
	return ok && slices.ContainsFunc(p.opts.Trusted, func(t netip.Prefix) bool { return t.Contains(a) })
}

// addrOf returns a peer's address without its port.
func addrOf(peer net.Addr) (netip.Addr, bool) {
	if peer == nil {
		return netip.Addr{}, false
	}
	ap, err := netip.ParseAddrPort(peer.String())
	return ap.Addr().Unmap().WithZone(""), err == nil
}

// address returns a client's address as the servers see it. If the proxy does not know it, it is the unspecified address, which is never
// this machine's.
func address(source netip.AddrPort) net.Addr {
	if !source.IsValid() {
		return &net.TCPAddr{IP: net.IPv6unspecified}
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(source.Addr().Unmap(), source.Port()))
}

// proxied is a connection with its client's address.
type proxied struct {
	net.Conn
	remote net.Addr
}

func (c *proxied) RemoteAddr() net.Addr { return c.remote }

// CloseWrite closes the sending direction if the connection can.
func (c *proxied) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection beneath, for socket options. No incoming data is buffered above it.
func (c *proxied) NetConn() net.Conn { return c.Conn }
