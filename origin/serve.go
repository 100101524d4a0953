package origin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Serve answers on a listener until ctx is done, and then stops: no new connection is accepted, held requests are
// answered, answers under way may take DrainTimeout, and what is left is cut. It closes the listener, and returns when
// every connection is closed: nil after a clean stop, an error where connections had to be cut.
func (o *Origin) Serve(ctx context.Context, l net.Listener) error {
	return o.serve(ctx, l, nil)
}

// ServeTLS is Serve with Options.TLS and, where the client speaks it, HTTP/2.
func (o *Origin) ServeTLS(ctx context.Context, l net.Listener) error {
	if o.opts.TLS == nil {
		l.Close()
		return errors.New("serve TLS: no certificate is configured")
	}
	cfg, err := o.tlsConfig()
	if err != nil {
		l.Close()
		return fmt.Errorf("serve TLS: %w", err)
	}
	return o.serve(ctx, l, cfg)
}

// server is one running Serve.
type server struct {
	o           *Origin
	tls         *tls.Config // nil for plain
	http        *http.Server
	given       handover // connections for net/http
	secretField string   // in lower case; "" where no secret is asked for

	outboxes *sync.Pool // of *outbox
	heads    *sync.Pool // of *[]byte, MaxHeader long

	open     sync.WaitGroup // connections
	refused  chan struct{}  // one token per connection that is being told that there are too many
	draining atomic.Bool
	mu       sync.Mutex
	viewers  map[*viewer]struct{} // the connections that the loop serves
	polls    polls                // watch them meanwhile
}

func (o *Origin) serve(ctx context.Context, l net.Listener, cfg *tls.Config) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	s := &server{
		o:        o,
		tls:      cfg,
		given:    handover{conns: make(chan net.Conn), closed: make(chan struct{}), addr: l.Addr()},
		outboxes: newOutboxes(),
		heads:    &sync.Pool{New: func() any { b := make([]byte, o.opts.MaxHeader); return &b }},
		refused:  make(chan struct{}, maxRefusing),
		viewers:  make(map[*viewer]struct{}),
	}
	if o.secretField != "" {
		s.secretField = strings.ToLower(o.secretField)
	}
	s.http = &http.Server{
		Handler:           o,
		TLSConfig:         cfg,
		ReadHeaderTimeout: o.opts.ReadHeaderTimeout,
		IdleTimeout:       o.opts.IdleTimeout,
		MaxHeaderBytes:    max(o.opts.MaxHeader-4096, 1024), // net/http adds 4096 of its own
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(o.opts.Log.Handler(), slog.LevelDebug),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100, WriteByteTimeout: o.opts.WriteTimeout},
	}

	s.startPolls(base)
	defer s.stopPolls()
	var running sync.WaitGroup
	running.Go(func() { s.http.Serve(&s.given) })
	accepted := make(chan error, 1)
	running.Go(func() { accepted <- s.accept(ctx, base, l) })

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-accepted:
	}
	l.Close()
	return errors.Join(failure, s.stop(base, cut, &running))
}

// stop ends what runs: first by the book, then, after DrainTimeout, by force.
func (s *server) stop(base context.Context, cut context.CancelFunc, running *sync.WaitGroup) error {
	s.o.stop.Do(func() { close(s.o.stopping) })
	drain, release := context.WithTimeout(base, s.o.opts.DrainTimeout)
	defer release()
	s.wake(base)
	err := s.http.Shutdown(drain)
	s.given.Close()
	running.Wait()
	closed := make(chan struct{})
	go func() { s.open.Wait(); close(closed) }()
	if err == nil {
		select {
		case <-closed:
			return nil
		case <-drain.Done():
		}
	}
	cut()
	s.http.Close()
	n := s.cutOff()
	<-closed
	return fmt.Errorf("viewers were still being served after %v, and %d connections were cut", s.o.opts.DrainTimeout, n)
}

// wake tells the idle connections of the loop that the server stops.
func (s *server) wake(base context.Context) {
	s.draining.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.viewers {
		if v.claim() {
			go s.loop(base, v)
			continue
		}
		_ = v.Conn.SetReadDeadline(time.Unix(1, 0)) // fails where the connection is closed, which is as good
	}
}

// cutOff closes the connections of the loop under their answers.
func (s *server) cutOff() int64 {
	n := s.o.stats.Connections.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.viewers {
		v.Conn.Close()
	}
	return n
}

func (s *server) remember(v *viewer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.viewers[v] = struct{}{}
}

func (s *server) forget(v *viewer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.viewers, v)
}

// accept hands out connections until the listener is closed; base is the context of their requests. An error that may pass, as when the process is out of file
// descriptors, is waited out.
func (s *server) accept(ctx, base context.Context, l net.Listener) error {
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.connection(base, c)
			continue
		case errors.Is(err, net.ErrClosed):
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept: %w", err)
		}
		if pause == 0 {
			s.o.opts.Log.Warn("viewers cannot connect", "err", err)
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
}

// connection takes one connection in, or tells it that there are too many.
func (s *server) connection(base context.Context, nc net.Conn) {
	st := &s.o.stats
	st.Accepted.Add(1)
	if st.Connections.Add(1) > s.o.rules.Load().maxConnections {
		st.Connections.Add(-1)
		s.refuse(nc)
		return
	}
	s.open.Add(1)
	switch {
	case s.tls != nil:
		s.give(tls.Server(&conn{Conn: nc, o: s.o, done: s.open.Done}, s.tls))
	case s.o.opts.NetHTTP:
		s.give(&conn{Conn: nc, o: s.o, done: s.open.Done})
	default:
		v := &viewer{conn: conn{Conn: nc, o: s.o, done: s.open.Done}, reader: reader{pool: s.heads}, s: s}
		if s.poll(v) {
			break
		}
		s.remember(v)
		go s.loop(base, v)
	}
}

// give hands a connection to net/http for the rest of its life.
func (s *server) give(c net.Conn) {
	select {
	case s.given.conns <- c:
	case <-s.given.closed:
		c.Close()
	}
}

// handover is the listener that net/http accepts from.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	addr   net.Addr
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
