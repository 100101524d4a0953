package admin

import (
	"net/http"
	"sync/atomic"
)

// Stats counts since the start.
type Stats struct {
	Requests     atomic.Uint64 // answered, of every kind
	RefusedHosts atomic.Uint64 // requests that named a host we were not told of
	Syncs        atomic.Uint64 // waits for the bucket that were asked for
	SyncsFailed  atomic.Uint64 // of them, those that ended without it
}

// counted counts requests and sends what every answer carries.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.stats.Requests.Add(1)
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}
