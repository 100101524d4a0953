package peer

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"
)

// secretGrace is how long the secret before counts beside a new one: the servers of a cluster do not get it all at the same moment.
const secretGrace = 5 * time.Minute

// Secrets is the secret of a cluster, and for a while the one before it. It is safe for concurrent use.
type Secrets struct {
	now func() time.Time

	mu            sync.Mutex
	value, former string
	until         time.Time // former counts until then
}

// NewSecrets returns the secret of a cluster, which is not empty.
func NewSecrets(value string, now func() time.Time) *Secrets { return &Secrets{now: now, value: value} }

// Set changes the secret.
func (s *Secrets) Set(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value == "" || value == s.value {
		return
	}
	s.former, s.until, s.value = s.value, s.now().Add(secretGrace), value
}

// all returns the secret, and the one before it, or "" where that does not count any more.
func (s *Secrets) all() (value, former string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.former != "" && s.now().After(s.until) {
		s.former = ""
	}
	return s.value, s.former
}

// admits reports whether a request carries one of them. Digests are compared, always both, so that the time taken reveals nothing.
func (s *Secrets) admits(r *http.Request) bool {
	got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	value, former := s.all()
	d, v, f := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(value)), sha256.Sum256([]byte(former))
	found := subtle.ConstantTimeCompare(d[:], v[:])
	if former != "" {
		found |= subtle.ConstantTimeCompare(d[:], f[:])
	}
	return found == 1
}
