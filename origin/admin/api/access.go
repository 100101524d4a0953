package api

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxBody is the most that a request's body may have, in bytes.
const maxBody = 64 << 10

// Token lets somebody use the API.
type Token struct {
	Name    string // for the log
	Hash    string // of the token: "sha256:" and 64 hexadecimal digits
	Operate bool   // it may change things, not only read
}

type token struct {
	name    string
	hash    [sha256.Size]byte
	operate bool
}

// Guesses limits guessing by address.
type Guesses interface {
	// Take counts a guess, and returns how long its peer has to wait: above 0 it must not be judged.
	Take(peer netip.Addr) time.Duration
	// Return says that the newest guess of the peer was right.
	Return(peer netip.Addr)
}

// Prepare checks a list of tokens. commit puts it in the place of the one before, and cannot fail. With an empty one only this machine
// may use the API, without a token; otherwise everybody needs one.
func (a *API) Prepare(list []Token) (commit func(), err error) {
	tokens := make([]token, len(list))
	for i, t := range list {
		text, ok := strings.CutPrefix(t.Hash, "sha256:")
		hash, err := hex.DecodeString(text)
		if !ok || err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("the hash of token %q is not sha256: and 64 hexadecimal digits", t.Name)
		}
		tokens[i] = token{t.Name, [sha256.Size]byte(hash), t.Operate}
	}
	return func() { a.tokens.Store(&tokens) }, nil
}

// ServeHTTP answers one request. Its Host has been checked already.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !sameSite(r) {
		refuse(w, http.StatusForbidden, "the request comes from a page of another site, %s: only pages of this server may ask", r.Header.Get("Origin"))
		return
	}
	change := r.Method != http.MethodGet && r.Method != http.MethodHead
	who, ok := a.admit(w, r, change)
	if !ok || change && !bounded(w, r) {
		return
	}
	if !change {
		a.mux.ServeHTTP(w, withExchange(w, r))
		return
	}
	done := &statusWriter{ResponseWriter: w}
	a.mux.ServeHTTP(done, withExchange(w, r))
	a.o.Log.Info("an operator's request", "who", who, "remote", r.RemoteAddr, "method", r.Method, "path", r.URL.Path, "status", done.status)
}

// sameSite reports whether a request does not come from a page of another site. Browsers say where a page is from; others say
// nothing.
func sameSite(r *http.Request) bool {
	if from := r.Header.Values("Origin"); len(from) > 0 {
		u, err := url.Parse(from[0])
		return len(from) == 1 && err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, r.Host)
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "same-origin" || site == "none"
}

// forwarded returns the name of a header by which proxies say that they ask for somebody else; empty: there is none. The peer of such a
// request is the proxy, which may be on this machine while the one who asks is anywhere.
func forwarded(h http.Header) string {
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		if len(h[name]) > 0 {
			return name
		}
	}
	return ""
}

// admit judges by what right a request comes, and answers where it has none. It returns who it is, for the log.
func (a *API) admit(w http.ResponseWriter, r *http.Request, change bool) (who string, ok bool) {
	var peer netip.Addr
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer = at.Addr().Unmap()
	}
	tokens := *a.tokens.Load()
	if len(tokens) == 0 {
		if header := forwarded(r.Header); header != "" {
			a.o.Warn("api-forwarded", peer.String(), "a request to the API came through a proxy, and there are no tokens: set admin.tokens to let such requests in", "remote", r.RemoteAddr, "header", header)
			refuse(w, http.StatusForbidden, "the request came through a proxy, as its %s says, and without admin.tokens only the machine that the server runs on may use the API: hlsorigin keys new makes a token and the hash for admin.tokens", header)
			return "", false
		}
		if !peer.IsLoopback() {
			a.o.Warn("api-remote", peer.String(), "a request to the API came from another machine, and there are no tokens: set admin.tokens to let it in", "remote", r.RemoteAddr)
			refuse(w, http.StatusForbidden, "without admin.tokens only the machine that the server runs on may use the API: hlsorigin keys new makes a token and the hash for admin.tokens")
			return "", false
		}
		return "this machine", true
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="hlsorigin"`)
		refuse(w, http.StatusUnauthorized, "a token is needed: send it as Authorization: Bearer TOKEN")
		return "", false
	}
	found, wait := a.judge(tokens, strings.TrimSpace(secret), peer)
	switch {
	case wait > 0:
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		refuse(w, http.StatusTooManyRequests, "too many wrong tokens came from this address: wait %s", wait.Round(time.Second))
	case found == nil:
		a.o.Warn("api-token", peer.String(), "a request to the API had a wrong token", "remote", r.RemoteAddr)
		w.Header().Set("WWW-Authenticate", `Bearer realm="hlsorigin", error="invalid_token"`)
		refuse(w, http.StatusUnauthorized, "this token is not known here: look at admin.tokens in the server's configuration")
	case change && !found.operate:
		w.Header().Set("WWW-Authenticate", `Bearer realm="hlsorigin", error="insufficient_scope", scope="operate"`)
		refuse(w, http.StatusForbidden, "the token %q may only read: give it scope: operate in admin.tokens", found.name)
	default:
		return found.name, true
	}
	return "", false
}

// judge finds the token that was sent, nil where there is none; or how long the peer has to wait before it may try. All are compared, so that the time
// says nothing.
func (a *API) judge(tokens []token, secret string, peer netip.Addr) (found *token, wait time.Duration) {
	sum := sha256.Sum256([]byte(secret))
	a.guessing.Lock()
	defer a.guessing.Unlock()
	if a.o.Guesses != nil {
		if wait = a.o.Guesses.Take(peer); wait > 0 {
			return nil, wait
		}
	}
	for i := range tokens {
		if subtle.ConstantTimeCompare(sum[:], tokens[i].hash[:]) == 1 {
			found = &tokens[i]
		}
	}
	if found != nil && a.o.Guesses != nil {
		a.o.Guesses.Return(peer)
	}
	return found, 0
}

// bounded reads a change's body, and answers where it is no JSON or too long. No web form can send JSON to another site.
func bounded(w http.ResponseWriter, r *http.Request) bool {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "a change needs the header Content-Type: application/json, also where it has no body")
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		refuse(w, http.StatusRequestEntityTooLarge, "the body has more than %d bytes", maxBody)
		return false
	case err != nil:
		refuse(w, http.StatusBadRequest, "the body did not come: %v", err)
		return false
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return true
}

// statusWriter keeps the status of an answer for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
