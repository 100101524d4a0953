package httpput

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Server takes HLS by HTTP. It is an http.Handler; Serve also does what time demands.
type Server struct {
	Stats Stats

	o      Options
	log    *slog.Logger
	secret [32]byte // of nonces

	mu        sync.Mutex
	shows     map[showKey]*show
	admits    map[[sha256.Size]byte]*admitted
	asks      map[[sha256.Size]byte]time.Time // of those who were admitted, without their credentials: when
	bodies    map[uploads]int                 // that are being read
	questions map[question]time.Time          // files that came without credentials, while their sender has some: when
	away      map[turned]away

	serving int
	ended   bool // nothing is taken any more

	opening sync.WaitGroup // of streams that are being published
}

type showKey struct{ app, stream string }

// New returns a Server.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{o: o, log: o.Log, shows: map[showKey]*show{}, admits: map[[sha256.Size]byte]*admitted{}, bodies: map[uploads]int{}, asks: map[[sha256.Size]byte]time.Time{},
		questions: map[question]time.Time{}, away: map[turned]away{}}
	_, _ = rand.Read(s.secret[:]) // never fails
	return s
}

// Limits of a connection.
const (
	headTimeout = 10 * time.Second
	keepAlive   = 2 * time.Minute // longer than any segment lasts
	maxHead     = 32 << 10        // bytes
	tick        = 100 * time.Millisecond
	stopWithin  = time.Second
)

// Serve answers the listener's connections until ctx is done. Then every stream is ended with ingest.ErrShutdown.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.mu.Lock()
	s.ended = false
	s.serving++
	s.mu.Unlock()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	h := &http.Server{
		Handler: s, ReadHeaderTimeout: headTimeout, IdleTimeout: keepAlive, MaxHeaderBytes: maxHead, Protocols: &protocols,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	var ticking sync.WaitGroup
	end, cancel := context.WithCancel(ctx)
	ticking.Go(func() {
		t := time.NewTicker(tick)
		defer t.Stop()
		for {
			select {
			case <-end.Done():
				return
			case <-t.C:
				s.Tick(s.o.Now())
			}
		}
	})
	ticking.Go(func() {
		<-end.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		if h.Shutdown(stop) != nil {
			_ = h.Close()
		}
	})
	err := h.Serve(l)
	cancel()
	ticking.Wait()
	s.mu.Lock()
	s.serving--
	last := s.serving == 0
	s.ended = last
	s.mu.Unlock()
	if last {
		s.endAll(ingest.ErrShutdown)
		s.opening.Wait()
	}
	if errors.Is(err, http.ErrServerClosed) || ctx.Err() != nil {
		return nil
	}
	return err
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	t, err := parsePath(r.URL.EscapedPath())
	switch {
	case r.Method == http.MethodOptions:
		h.Set("Allow", allowed)
		h.Set("DAV", "1")
		w.WriteHeader(http.StatusNoContent)
		return
	case r.Method != http.MethodPut && r.Method != http.MethodPost && r.Method != http.MethodDelete && r.Method != "MKCOL":
		h.Set("Allow", allowed)
		s.Stats.Refused.Add(1)
		say(w, http.StatusMethodNotAllowed, "files are sent here, by PUT or POST; they are read at the address for viewers")
		return
	case err != nil:
		s.refuse(w, r, t, err)
		return
	}
	grant, user, ok := s.admit(w, r, t)
	if !ok {
		return
	}
	switch {
	case r.Method == "MKCOL":
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusOK) // how long a segment is kept is ours to say
	case t.file == "":
		s.refuse(w, r, t, errPath)
	default:
		if err := s.put(w, r, t, grant, user); err != nil {
			s.refuse(w, r, t, err)
			return
		}
		w.WriteHeader(http.StatusOK)
	}
}

const allowed = "PUT, POST, DELETE, MKCOL, OPTIONS"

// put takes a file in. The error is for the sender.
func (s *Server) put(w http.ResponseWriter, r *http.Request, t target, grant ingest.Grant, user string) error {
	limit := s.o.MaxSegment
	if isPlaylist(t.file) {
		limit = s.o.MaxPlaylist
	}
	var claim ingest.Message
	defer s.o.Memory.Give(&claim)
	arrived := s.arrives(uploads{showKey{t.app, grant.Stream}, addressOf(r.RemoteAddr)})
	body, err := s.read(w, r, limit, &claim)
	arrived()
	if err != nil {
		return err
	}
	now, key, from := s.o.Now(), showKey{t.app, grant.Stream}, senderOf(r.RemoteAddr, user)
	if isPlaylist(t.file) || strings.HasPrefix(string(body[:min(len(body), 7)]), "#EXTM3U") {
		p, variants, err := parsePlaylist(t, r.Host, body)
		if err != nil {
			return err
		}
		s.Stats.Playlists.Add(1)
		return s.with(key, from, r.RemoteAddr, grant, now, func(in *input) error { return in.playlist(t.file, p, variants, now) })
	}
	if ext := strings.ToLower(path.Ext(t.file)); ext == ".vtt" || ext == ".webvtt" {
		return ingest.Refuse(ingest.Unsupported, "subtitles in files of their own are not carried: send captions in the video (CEA-608 or CEA-708), or none")
	}
	g, err := parseSegment(body)
	if err != nil {
		return err
	}
	s.Stats.Segments.Add(1)
	f := &file{segment: g, at: now, came: now, held: holds(g), done: s.keep(key, from, t.file, g, now)}
	if err = s.with(key, from, r.RemoteAddr, grant, now, func(in *input) error { return in.segment(t.file, f, now) }); err != nil {
		f.release(false)
	}
	return err
}

// uploads are the bodies that one sender of a stream sends.
type uploads struct {
	showKey
	host string
}

// arrives notes a body that is being read; the result, that it has been.
func (s *Server) arrives(u uploads) (arrived func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies[u]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.bodies[u]--; s.bodies[u] == 0 {
			delete(s.bodies, u)
		}
	}
}

// arriving reports whether a body of a sender is being read.
func (s *Server) arriving(w *show, host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[uploads{showKey{w.app, w.stream}, host}] > 0
}

// with runs fn on the sender of a request, whose show's lock is held. The error of fn ends the sender if it is not of this request alone.
func (s *Server) with(key showKey, from sender, remote string, grant ingest.Grant, now time.Time, fn func(*input) error) error {
	w, err := s.show(key)
	if err != nil {
		return err
	}
	defer w.mu.Unlock()
	in := w.sender(from)
	who := turned{key, from.host}
	if err := s.sentAway(who, now); in == nil && err != nil {
		s.forget(w)
		return err
	}
	if in == nil || in.awaited {
		if first := w.first(); first != nil && first.grant.Identity != grant.Identity {
			return ingest.Refuse(ingest.NameTaken, "%s/%s is already being sent from %s: stop that encoder, or choose another stream name", key.app, key.stream, first.host)
		}
		if n := w.heard(); n >= maxInputs {
			return ingest.Refuse(ingest.NameTaken, "%s/%s is already being sent by %d senders", key.app, key.stream, n)
		}
		if in == nil {
			in = w.enter(from, remote, grant, now)
		}
		in.arrives(remote, grant, now)
	}
	in.last, w.until = now, time.Now().Add(s.o.PublishLimit)
	if err = in.failed; err == nil {
		err = fn(in)
	}
	var f *fatal
	if errors.As(err, &f) {
		in.leave(f.error)
		err = f.error
		s.sendAway(who, err, now)
	}
	s.forget(w)
	return err
}

// fatal is an error that ends a sender. Any other is of one request.
type fatal struct{ error }

// maxInputs is how many senders a stream may have at once: one, and those that stand by.
const maxInputs = 4

// show is the show of a name, with its lock held.
func (s *Server) show(key showKey) (*show, error) {
	for {
		s.mu.Lock()
		w := s.shows[key]
		if w == nil {
			if s.ended {
				s.mu.Unlock()
				return nil, ingest.Refuse(ingest.Overloaded, "the server is shutting down")
			}
			if len(s.shows) >= s.o.MaxStreams {
				s.mu.Unlock()
				return nil, ingest.Refuse(ingest.Overloaded, "%d streams are sent to already, which is the limit", s.o.MaxStreams)
			}
			w = &show{s: s, app: key.app, stream: key.stream, outs: map[string]*out{}}
			s.shows[key] = w
		}
		s.mu.Unlock()
		if w.mu.Lock(); !w.closed {
			return w, nil
		}
		w.mu.Unlock()
	}
}

// forget lets go of a show that nobody sends to. Its lock is held.
func (s *Server) forget(w *show) {
	if len(w.inputs) > 0 {
		return
	}
	w.closed = true
	s.mu.Lock()
	delete(s.shows, showKey{w.app, w.stream})
	s.mu.Unlock()
}

func (s *Server) all() (all []*show) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.shows {
		all = append(all, w)
	}
	return all
}

// Tick does what time demands: it goes on behind what does not come, and notices who is silent.
func (s *Server) Tick(now time.Time) {
	standby, until := int64(0), time.Now().Add(s.o.PublishLimit)
	for _, w := range s.all() {
		w.mu.Lock()
		if w.until = until; !w.closed {
			w.tick(now)
			standby += w.standby()
			s.forget(w)
		}
		w.mu.Unlock()
	}
	s.Stats.Standby.Store(standby)
	s.expire(now)
}

// drainFor is how many times paceEvery the end waits for what was named and has not been passed on.
const drainFor = 20

// drain passes on what was named and is here: whoever sent it was told that it was taken.
func (s *Server) drain() {
	now := s.o.Now()
	for range drainFor {
		more := false
		for _, w := range s.all() {
			w.mu.Lock()
			w.until = time.Now().Add(s.o.PublishLimit)
			more = !w.closed && w.drain(now) || more
			w.mu.Unlock()
		}
		if !more {
			return
		}
		time.Sleep(paceEvery)
		now = now.Add(paceEvery)
	}
}

// endAll ends every stream.
func (s *Server) endAll(cause error) {
	s.drain()
	for _, w := range s.all() {
		w.mu.Lock()
		for _, o := range w.outs {
			o.close(cause)
		}
		for _, in := range w.senders() {
			in.leave(cause)
		}
		s.forget(w)
		w.mu.Unlock()
	}
}

// addressOf is a peer's address without its port.
func addressOf(remote string) string {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	return a.Addr().Unmap().String()
}
