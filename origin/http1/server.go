package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves connections from any number of listeners, which share its limits. It starts no goroutine outside Serve.
type Server struct {
	opts  Options
	extra string // the extra field in lower case
	stats Stats
	table table
	heads heads
	date  date

	outboxes sync.Pool // of *outbox
	began    time.Time // zero time: unlike calendar times, times counted from it do not jump when the clock is set
	stopping chan struct{}
	stop     sync.Once // closes stopping: held requests are released
}

// New returns a Server. It panics if Options.Handler is missing.
func New(opts Options) *Server {
	if opts.Handler == nil {
		panic("http1: Options.Handler is required")
	}
	opts.defaults()
	s := &Server{opts: opts, extra: strings.ToLower(opts.Extra), began: time.Now(), stopping: make(chan struct{})}
	s.table = table{max: opts.MaxConnections, patience: int64(opts.Patience)}
	s.heads = heads{medium: min(mediumHead, opts.MaxHeader), large: opts.MaxHeader, max: opts.MaxHeads}
	s.outboxes.New = func() any { return &outbox{text: make([]byte, 0, 2048), list: make([][]byte, 0, 64)} }
	return s
}

// SetMaxConnections changes Options.MaxConnections for new connections. Lowering it closes none. It is safe for concurrent use.
func (s *Server) SetMaxConnections(n int) { s.table.resize(n) }

// Stats returns the counters of this server.
func (s *Server) Stats() *Stats { return &s.stats }

// now returns the time since the server was made, in nanoseconds, never 0.
func (s *Server) now() int64 { return int64(time.Since(s.began)) | 1 }

// Serve serves a listener until ctx is done, and then stops: it accepts no new connection, answers held requests, allows DrainTimeout for
// answers in progress, and cuts what is left. It closes the listener, and returns when every connection is closed: nil after a clean stop,
// an error if connections had to be cut.
func (s *Server) Serve(ctx context.Context, l net.Listener) error { return s.serve(ctx, l, nil) }

// ServeTLS is Serve over TLS. If cfg.NextProtos has "h2" and the client wants it, net/http speaks HTTP/2.
func (s *Server) ServeTLS(ctx context.Context, l net.Listener, cfg *tls.Config) error {
	return s.serve(ctx, l, cfg)
}

// run is one call of Serve.
type run struct {
	*Server
	tls   *tls.Config  // nil for plain
	http2 *http.Server // nil for plain
	given handover     // connections for http2

	open     sync.WaitGroup // connections
	draining atomic.Bool
	polls    polls // watch connections between two requests
	lanes    lanes // those whose requests are held without a goroutine
}

func (s *Server) serve(ctx context.Context, l net.Listener, cfg *tls.Config) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	r := &run{Server: s, tls: cfg, given: handover{conns: make(chan net.Conn), closed: make(chan struct{}), addr: l.Addr()}}
	var running sync.WaitGroup
	if cfg != nil {
		r.http2 = r.newHTTP2(base)
		running.Go(func() { _ = r.http2.Serve(&r.given) })
	}
	r.startPolls(base)
	defer r.stopPolls()
	accepted := make(chan error, 1)
	running.Go(func() { accepted <- r.accept(ctx, base, l) })

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-accepted:
	}
	_ = l.Close()
	return errors.Join(failure, r.end(base, cut, &running))
}

// end stops what runs: first gracefully, then, after DrainTimeout, by force.
func (r *run) end(base context.Context, cut context.CancelFunc, running *sync.WaitGroup) error {
	r.stop.Do(func() { close(r.stopping) })
	drain, release := context.WithTimeout(base, r.opts.DrainTimeout)
	defer release()
	r.wake(base)
	var err error
	if r.http2 != nil {
		err = r.http2.Shutdown(drain)
	}
	_ = r.given.Close()
	running.Wait()
	closed := make(chan struct{})
	go func() { r.open.Wait(); close(closed) }()
	if err == nil {
		select {
		case <-closed:
			return nil
		case <-drain.Done():
		}
	}
	cut()
	n := 0
	for _, v := range r.table.of(r) {
		_ = v.Conn.Close()
		n++
	}
	if r.http2 != nil {
		_ = r.http2.Close()
	}
	<-closed
	return fmt.Errorf("clients were still being served after %v, and %d connections were cut", r.opts.DrainTimeout, n)
}

// wake tells idle connections that the server is stopping.
func (r *run) wake(base context.Context) {
	r.draining.Store(true)
	for _, v := range r.table.of(r) {
		switch {
		case v.claim():
			go r.loop(base, v)
		case !v.http2.Load(): // net/http ends those
			_ = v.Conn.SetReadDeadline(past) // fails if the connection is closed, which is just as good
		}
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// newHTTP2 returns the server for connections that want HTTP/2. It has no log of its own: what it would write there is caused by clients.
func (r *run) newHTTP2(base context.Context) *http.Server {
	return &http.Server{
		Handler:           r,
		TLSConfig:         r.tls.Clone(), // it changes the config, while other handshakes use ours
		ReadHeaderTimeout: r.opts.HeaderTimeout,
		IdleTimeout:       r.opts.IdleTimeout,
		MaxHeaderBytes:    max(r.opts.MaxHeader-4096, 1024), // net/http adds 4096 of its own
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       withVisitor,
		ConnState:         noteState,
		ErrorLog:          log.New(io.Discard, "", 0),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 100, WriteByteTimeout: r.opts.WriteTimeout,
			MaxReceiveBufferPerConnection: 64 << 10, MaxReceiveBufferPerStream: 16 << 10, // for bodies, which nobody reads
		},
	}
}

// handover is the listener from which net/http accepts.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	addr   net.Addr
}

// give hands a connection to net/http for the rest of its life.
func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		_ = c.Close()
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handover) Addr() net.Addr { return h.addr }
