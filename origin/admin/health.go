package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Readiness tells how each part is. It is asked for every /readyz and must answer at once, from what is known.
type Readiness interface{ Checks() []Check }

// Check is the state of one part of the server.
type Check struct {
	Name   string `json:"name"`             // "bucket", "spool", "rtmp"
	Reason string `json:"reason,omitempty"` // what is wrong and what to do; empty: all is well
	Blocks bool   `json:"blocks,omitempty"` // while it is wrong, the server should get no viewers; of Options.Publish: no publishers

	Kind string `json:"-"` // a word for what is wrong, which stays while figures in the reason run
	Of   string `json:"-"` // what it is of where there are several: a store, a directory
}

// Syncer waits until all that was published up to the call is confirmed by the bucket. The error says how far behind
// it is, also when ctx ends the wait.
type Syncer interface {
	Sync(ctx context.Context) error
}

// Bounds of ?sync=1.
const (
	defaultSync = 30 * time.Second
	maxSync     = 5 * time.Minute
)

// healthz says that the process lives. Nothing else: who restarts a server because its bucket is away makes it worse.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

// readyz is 200 when nothing that blocks is wrong, and lists every check in both cases. With ?sync=1 it first waits for
// the bucket, for at most ?timeout=30s. With ?publish=1 it is about publishers, whom a server may have to refuse that serves viewers.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Ready  bool    `json:"ready"`
		Checks []Check `json:"checks"`
	}{true, []Check{}}
	if r.FormValue("sync") != "" {
		done, ok := s.beginLong(w, r)
		if !ok {
			return
		}
		defer done()
		c, status := s.sync(r)
		if status != 0 {
			http.Error(w, c.Reason, status)
			return
		}
		answer.Checks = append(answer.Checks, c)
	}
	if s.o.Ready != nil {
		answer.Checks = append(answer.Checks, s.o.Ready.Checks()...)
	}
	if s.o.Publish != nil && r.FormValue("publish") != "" {
		answer.Checks = append(answer.Checks, s.o.Publish.Checks()...)
	}
	status := http.StatusOK
	for _, c := range answer.Checks {
		if c.Reason != "" && c.Blocks {
			answer.Ready, status = false, http.StatusServiceUnavailable
		}
	}
	writeJSON(w, status, answer)
}

// sync waits for the bucket. A status other than 0 refuses the request.
func (s *Server) sync(r *http.Request) (Check, int) {
	if s.o.Sync == nil {
		return Check{Reason: "there is no bucket to wait for"}, http.StatusNotImplemented
	}
	timeout := defaultSync
	if t := r.FormValue("timeout"); t != "" {
		var err error
		if timeout, err = time.ParseDuration(t); err != nil || timeout < 0 || timeout > maxSync {
			return Check{Reason: fmt.Sprintf("timeout: %q is not a duration from 0s to %s", t, maxSync)}, http.StatusBadRequest
		}
	}
	s.stats.Syncs.Add(1)
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	c := Check{Name: "sync", Blocks: true}
	if err := s.o.Sync.Sync(ctx); err != nil {
		s.stats.SyncsFailed.Add(1)
		c.Reason = err.Error()
	}
	return c, 0
}

// writeJSON indents: people read these answers too.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // it fails only when the reader is gone
}
