package admin

import (
	"net"
	"net/http"
	"time"
)

// maxLong is how many answers that take long, syncs, profiles and pages that watch, may be under way. All other connections make room for
// newcomers, so that nobody shuts others out by asking.
const maxLong = 32

// connKey is of a request's connection in its context.
type connKey struct{}

// state takes note of a connection that began or ended a request: of those that make room it is the last in turn.
func (s *Server) state(c net.Conn, to http.ConnState) {
	if to == http.StateActive || to == http.StateIdle {
		s.o.Settle(c, true)
		s.o.Settle(c, false)
	}
}

// Long is asked before an answer that takes long. done is called when it is over; not ok where too many are under way.
type Long func(w http.ResponseWriter, r *http.Request) (done func(), ok bool)

// begin keeps a request's connection from making room until done is called. It is not ok where too many are kept already.
func (s *Server) begin(w http.ResponseWriter, r *http.Request) (done func(), ok bool) {
	select {
	case s.long <- struct{}{}:
	default:
		return nil, false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // whose passing would end the request
	c, ok := r.Context().Value(connKey{}).(net.Conn)
	if ok {
		s.o.Settle(c, true)
	}
	return func() {
		if ok {
			s.o.Settle(c, false)
		}
		<-s.long
	}, true
}

// beginLong is begin that answers 503 where it is not ok.
func (s *Server) beginLong(w http.ResponseWriter, r *http.Request) (done func(), ok bool) {
	if done, ok = s.begin(w, r); !ok {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many requests that take long are under way: try again later", http.StatusServiceUnavailable)
	}
	return done, ok
}

// takingLong is beginLong around a handler.
func (s *Server) takingLong(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if done, ok := s.beginLong(w, r); ok {
			defer done()
			h(w, r)
		}
	}
}
