// Package admin is the operators' side of the server: health, readiness, metrics, a list of the streams, and a page that
// plays them. It knows the house only through the interfaces below, changes nothing in it, serves no media, and refuses
// requests that name a host it was not told of, so that no web page can read it through a visitor's browser.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Options are fixed for a server's life. The zero value works and shows little.
type Options struct {
	Logger  *slog.Logger // nil: slog.DiscardHandler
	Version string       // as `hlsorigin version` says it

	Ready   Readiness    // nil: always ready
	Sync    Syncer       // nil: /readyz?sync=1 is 501
	Publish Readiness    // what, beyond Ready, keeps publishers away; asked for /readyz?publish=1. Nil: nothing
	Streams Streams      // nil: none
	Memory  Memory       // nil: /api/streams says nothing of it
	Metrics http.Handler // nil: /metrics is 404
	Pprof   bool         // /debug/pprof/

	// API makes what answers under /v1 and at /openapi.json, and is handed what it asks before answers that take long; nil: 404.
	API func(Long) http.Handler

	// Hosts are names that the Host header may have, beside localhost, *.localhost and any IP address.
	Hosts []string

	// PublicURL is the origin as viewers reach it, scheme://host[:port]. Empty: http, the host of the request to the
	// page, and PublicPort (default 5080).
	PublicURL  string
	PublicPort int
	// RTMPPort and App make the address that the page tells publishers; without a port it tells none.
	RTMPPort int
	App      string

	// HLSJS is the script that the page loads where the browser has no HLS of its own, and Integrity its hash.
	HLSJS, Integrity string

	// Demo is what the page knows of the stream that the program publishes to itself; the zero value: it publishes none.
	Demo Demo

	// Script is hls.js itself, which is served at ScriptPath; nil: none.
	Script []byte

	// Settle is told of a connection that it is at work, busy, or that it may make room for a newcomer where the listener has a
	// limit; default nothing.
	Settle func(c net.Conn, busy bool)

	// StopTimeout bounds how long Serve waits for answers under way. Default 2 s.
	StopTimeout time.Duration
}

// Server answers on the admin address.
type Server struct {
	o       Options
	log     *slog.Logger
	stats   Stats
	long    chan struct{} // as many as there are answers under way that take long
	handler http.Handler
}

// New makes a server. It starts nothing.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.PublicPort == 0 {
		o.PublicPort = 5080
	}
	if o.StopTimeout == 0 {
		o.StopTimeout = 2 * time.Second
	}
	if o.Settle == nil {
		o.Settle = func(net.Conn, bool) {}
	}
	s := &Server{o: o, log: o.Logger, long: make(chan struct{}, maxLong)}
	s.handler = s.routes()
	return s
}

// Stats is readable at any time.
func (s *Server) Stats() *Stats { return &s.stats }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Limits of one request. The write time-out is beyond the longest sync and the usual CPU profile.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second // with a body, which nobody reads
	writeTimeout  = maxSync + 30*time.Second
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10 // bytes
)

// Serve answers on l until ctx is done, and returns when no answer is under way any more. It closes l. The error is nil
// after ctx, otherwise why the listener failed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ConnState:         s.state,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	cancel() // who waits for a sync is let go
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), s.o.StopTimeout)
	defer done()
	err := srv.Shutdown(stop)
	if err != nil {
		err = srv.Close() // a profile that nobody waits for any more
	}
	<-failed
	return err
}
