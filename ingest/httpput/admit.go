package httpput

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// admitted is who was admitted a short while ago. A sender has no connection that its right could belong to: it belongs to its credentials,
// for as long as it goes on sending.
type admitted struct {
	app   string
	grant ingest.Grant
	last  time.Time
}

// admitFor is how long after a request the next one needs no new look at its credentials.
const admitFor = time.Minute

// admit asks whether a request may publish, and as which user. If not, it has answered.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, t target) (grant ingest.Grant, user string, ok bool) {
	c, err := parseCredentials(r)
	if err != nil {
		s.refuse(w, r, t, err)
		return grant, "", false
	}
	digest := false
	if s.o.Password != nil {
		_, _, digest = s.o.Password(t.app, t.name)
	}
	now := s.o.Now()
	if c.digest != nil {
		password, known := "", false
		if s.o.Password != nil {
			password, known, _ = s.o.Password(t.app, t.name)
		}
		if s.stale(c.digest["nonce"], now) {
			s.challenge(w.Header(), digest, true)
			say(w, http.StatusUnauthorized, "the Digest's nonce is too old: answer the new one")
			return grant, "", false
		}
		if known && answers(c.digest, r.Method, r.RequestURI, password) {
			c.password = password
		} else {
			c.password = "\x00" // no key is like this: what follows counts the attempt
		}
	}
	request := ingest.Request{
		Protocol: "http", App: t.app, Name: t.name, User: c.user, Password: c.password, Token: c.token, Query: r.URL.RawQuery, Remote: r.RemoteAddr,
	}
	key, bare := keyOf(&request), request
	bare.User, bare.Password, bare.Token = "", "", ""
	if grant, ok := s.remembered(key, now); ok {
		s.cameWith(r, t)
		return grant, c.user, true
	}
	if key == keyOf(&bare) && s.answered(key, now) {
		s.asked(r, t, now)
		s.challenge(w.Header(), digest, false)
		say(w, http.StatusUnauthorized, "credentials are needed")
		return grant, "", false
	}
	grant, err = s.o.Authorizer.Authorize(r.Context(), request)
	if err == nil {
		s.mu.Lock()
		s.admits[key] = &admitted{t.app, grant, now}
		if b := keyOf(&bare); b != key {
			s.asks[b] = now
		}
		s.mu.Unlock()
		s.cameWith(r, t)
		return grant, c.user, true
	}
	var refusal *ingest.Refusal
	if errors.As(err, &refusal) && refusal.Kind == ingest.Unauthorized && c.password == "" && c.token == "" {
		s.challenge(w.Header(), digest, false)
		say(w, http.StatusUnauthorized, refusal.Reason) // a question, as most encoders ask first
		return grant, "", false
	}
	s.refuse(w, r, t, err)
	return grant, "", false
}

// keyOf stands for a request's credentials and address.
func keyOf(r *ingest.Request) (key [sha256.Size]byte) {
	h := sha256.New()
	for _, p := range []string{r.App, r.Name, r.User, r.Password, r.Token, addressOf(r.Remote)} {
		h.Write([]byte(strconv.Itoa(len(p))))
		h.Write([]byte{' '})
		h.Write([]byte(p))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (s *Server) remembered(key [sha256.Size]byte, now time.Time) (grant ingest.Grant, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.admits[key]
	if a == nil || now.Sub(a.last) > admitFor {
		return grant, false
	}
	a.last = now
	return a.grant, true
}

// answered reports whether a sender that comes without credentials was admitted with some a short while ago: there are encoders that come so
// with every file first, and that is no guess.
func (s *Server) answered(bare [sha256.Size]byte, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.asks[bare]
	if ok = ok && now.Sub(at) <= admitFor; ok {
		s.asks[bare] = now
	}
	return ok
}

// question is a file that came without credentials, of a sender that has some.
type question struct{ host, app, name, file string }

const (
	answerWithin = 10 * time.Second // after a question, or the file is not sent again
	maxQuestions = 256
)

// asked notes that credentials were asked for, cameWith that a file came with them.
func (s *Server) asked(r *http.Request, t target, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := (question{addressOf(r.RemoteAddr), t.app, t.name, t.file}); len(s.questions) < maxQuestions && s.questions[q].IsZero() {
		s.questions[q] = now
	}
}

func (s *Server) cameWith(r *http.Request, t target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.questions, question{addressOf(r.RemoteAddr), t.app, t.name, t.file})
}

// unanswered are the files that came without credentials, and did not come again.
func (s *Server) unanswered(now time.Time) (all []question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for q, at := range s.questions {
		if now.Sub(at) > answerWithin {
			all = append(all, q)
			delete(s.questions, q)
		}
	}
	return all
}

// expire forgets who has not sent for a while.
func (s *Server) expire(now time.Time) {
	for _, q := range s.unanswered(now) {
		s.Stats.Refused.Add(1)
		s.o.Episodes.Warn("unanswered", q.host, "a file of a publisher was refused: it came without the credentials that others came with", "protocol", "http", "remote", q.host,
			"app", q.app, "file", q.file, "remedy", "put them before the host, http://any:KEY@HOST/, in all of the encoder's addresses")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, a := range s.admits {
		if now.Sub(a.last) > admitFor {
			delete(s.admits, key)
		}
	}
	for who, a := range s.away {
		if !now.Before(a.until) {
			delete(s.away, who)
		}
	}
	for key, at := range s.asks {
		if now.Sub(at) > admitFor {
			delete(s.asks, key)
		}
	}
}

// revoke forgets by which right a stream was sent to: whoever goes on has to be admitted anew.
func (s *Server) revoke(app, stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, a := range s.admits {
		if a.app == app && a.grant.Stream == stream {
			delete(s.admits, key)
		}
	}
}

// turned is a sender that was sent away, because its stream is somebody else's.
type turned struct {
	showKey
	host string
}

// away is why it was, and until when it is told so without another look.
type away struct {
	why   error
	until time.Time
}

// awayFor is for how long a sender that was sent away is told why at each request. Each looks like one of a sender that has just begun, which is
// answered before it is known whose the stream is; after a while one is, since the other may have left.
const awayFor = 5 * time.Second

// sendAway notes an error that ended a sender, if it is one to tell all its next requests.
func (s *Server) sendAway(who turned, err error, now time.Time) {
	var r *ingest.Refusal
	if !errors.As(err, &r) || r.Kind != ingest.NameTaken {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away[who] = away{err, now.Add(awayFor)}
}

// sentAway is why a sender was sent away a short while ago; nil: it was not.
func (s *Server) sentAway(who turned, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.away[who]; ok && now.Before(a.until) {
		return a.why
	}
	return nil
}

// refuse answers with an error. It logs each kind once for each address, without what was sent, which may be a secret.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, t target, err error) {
	status, reason := statusOf(err)
	switch {
	case errors.Is(err, errCutShort):
		s.Stats.CutShort.Add(1)
		w.Header().Set("Connection", "close")
	case status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "2")
	case status == http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "10")
	}
	host := addressOf(r.RemoteAddr)
	s.o.Episodes.Warn("refused "+strconv.Itoa(status), host, "request of a publisher refused", "protocol", "http", "remote", host, "app", t.app, "status", status, "reason", reason)
	s.Stats.Refused.Add(1)
	say(w, status, reason)
}

// say answers with a status and words.
func say(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(reason + "\n"))
}

// statusOf is the status of an error, and what to say.
func statusOf(err error) (status int, reason string) {
	var r *ingest.Refusal
	var large errLarge
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, "the file is larger than " + strconv.FormatInt(large.limit>>20, 10) + " MiB, which is the limit: make shorter segments, or lower the bit rate"
	case errors.Is(err, errCutShort):
		return http.StatusRequestTimeout, err.Error()
	case !errors.As(err, &r):
		return http.StatusConflict, err.Error()
	}
	switch r.Kind {
	case ingest.BadName:
		return http.StatusBadRequest, r.Reason
	case ingest.NameTaken:
		return http.StatusConflict, r.Reason
	case ingest.Unauthorized:
		return http.StatusForbidden, r.Reason
	case ingest.UnknownApp:
		return http.StatusNotFound, r.Reason
	case ingest.Unsupported:
		return http.StatusUnsupportedMediaType, r.Reason
	case ingest.TooMany:
		return http.StatusTooManyRequests, r.Reason
	}
	return http.StatusServiceUnavailable, r.Reason
}
