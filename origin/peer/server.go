package peer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// Options of a Server. Self, Stream, Media and Secrets are required.
type Options struct {
	Self   func() Node                    // what this server says of itself; its clock is read by the Server
	Stream func(app, stream string) State // what this server knows of a stream; State.Node is set by the Server
	// Pair is what a server that stands by is told of a stream; false where no recording of it is under way. It may be nil.
	Pair  func(app, stream string, step bool) (any, bool)
	Media http.Handler // answers what viewers ask for from what this server has itself
	// Watch returns channels, ten at most, of which one is closed when the answer at a path may have changed since the call. Nil: answers
	// are awaited until the time is up.
	Watch   func(path string) []<-chan struct{}
	Secrets *Secrets

	MaxHeld int              // answers awaited at a time; one more is refused with 503; 4096
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: discard
	// Warn is called for each request with a wrong secret; it turns many calls into few log lines. Nil: nothing is logged.
	Warn func(kind, who, msg string, args ...any)
	// Settle is told of a connection that it is at work, busy, or that it may make room for a newcomer. It may be nil.
	Settle func(c net.Conn, busy bool)
}

// Limits of one request.
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 2 * time.Second  // for a body that nobody wants
	writeTimeout  = 20 * time.Second // without the other server taking any byte
	answerTimeout = 60 * time.Second // until an answer begins: beyond HoldFor, and the longest that a viewer waits for a playlist
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 2 * time.Second
	maxHeader     = 32 << 10 // bytes
)

// Server answers the other servers of a cluster.
type Server struct {
	o    Options
	held chan struct{} // as many as there are answers awaited
}

// NewServer makes a server. It starts nothing.
func NewServer(o Options) *Server {
	if o.MaxHeld == 0 {
		o.MaxHeld = 4096
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Warn == nil {
		o.Warn = func(string, string, string, ...any) {}
	}
	if o.Watch == nil {
		o.Watch = func(string) []<-chan struct{} { return nil }
	}
	return &Server{o: o, held: make(chan struct{}, o.MaxHeld)}
}

// Held returns how many answers are awaited now.
func (s *Server) Held() int { return len(s.held) }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(s.o.Now().Add(answerTimeout)) // a recorder has none
	w = &patientWriter{w, rc, s.o.Now}
	switch {
	case r.ContentLength != 0:
		_ = rc.SetReadDeadline(s.o.Now().Add(bodyTimeout))
		refuse(w, http.StatusBadRequest, "a request between servers has no body")
	case !s.o.Secrets.admits(r):
		who := hostOf(r.RemoteAddr)
		s.o.Warn("cluster-secret", who, "requests to cluster.listen without the cluster's secret are refused: if that is one of your servers, give it the same cluster.secret", "from", who)
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, "the secret is missing or wrong")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "only GET and HEAD")
	case r.URL.Path == NodePath:
		n := s.o.Self()
		n.Clock = s.o.Now()
		answer(w, n)
	case strings.HasPrefix(r.URL.Path, statePath):
		app, stream, ok := named(w, r, statePath)
		if !ok {
			return
		}
		st := s.o.Stream(app, stream)
		st.Node = s.o.Self().Node
		answer(w, st)
	case strings.HasPrefix(r.URL.Path, pairPath) && s.o.Pair != nil:
		app, stream, ok := named(w, r, pairPath)
		if !ok {
			return
		}
		var p paired
		p.Pair, p.Known = s.o.Pair(app, stream, r.URL.Query().Get("step") == "1")
		answer(w, p)
	default:
		s.media(w, r)
	}
}

// named returns the app and the stream that follow a path; where they are missing it refuses the request.
func named(w http.ResponseWriter, r *http.Request, path string) (app, stream string, ok bool) {
	app, stream, ok = strings.Cut(r.URL.Path[len(path):], "/")
	if ok = ok && app != "" && stream != "" && !strings.Contains(stream, "/"); !ok {
		refuse(w, http.StatusNotFound, "ask for "+path+"{app}/{stream}")
	}
	return app, stream, ok
}

// answer sends a small object.
func answer(w http.ResponseWriter, v any) {
	h := w.Header()
	h.Set(markHeader, "1")
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // an error is that of a server that has gone
}

// refuse answers with a reason, and ends the connection.
func refuse(w http.ResponseWriter, status int, why string) {
	h := w.Header()
	h.Set(markHeader, "1")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(why + "\n"))
}

// patientWriter gives each part of an answer its own deadline.
type patientWriter struct {
	http.ResponseWriter
	rc  *http.ResponseController
	now func() time.Time
}

func (w *patientWriter) Write(b []byte) (int, error) {
	_ = w.rc.SetWriteDeadline(w.now().Add(writeTimeout))
	return w.ResponseWriter.Write(b)
}

// Serve answers on l until ctx is done, and returns when no answer is under way any more. It closes l. The error is nil after ctx, otherwise
// why the listener failed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler: s, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	if s.o.Settle != nil {
		srv.ConnState = func(c net.Conn, state http.ConnState) {
			if state == http.StateActive || state == http.StateIdle {
				s.o.Settle(c, state == http.StateActive)
			}
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	cancel() // who waits for a change is let go
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer done()
	err := srv.Shutdown(stop)
	if err != nil {
		err = srv.Close() // a server that does not take its answer
	}
	<-failed
	return err
}

// hostOf returns a peer's address without its port.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "unknown"
	}
	return host
}
