package origin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
)

// Secret restricts answers to requests with a header field that has one of the values, which a CDN can be told to send. Several values are
// accepted so that they can be rotated without a gap.
type Secret struct {
	Header string   // name of the field; "" switches the check off
	Values []string // accepted values; an empty value matches nothing. Without any there is no check
	// Guesses limits how often values may be tried. It is consulted for the first request of a connection, and for every request of one
	// that has not shown a correct value. Nil: no limit.
	Guesses Guesses
}

// Guesses limits guessing by address.
type Guesses interface {
	// Take counts a guess of a peer and returns how long it must wait: if greater than 0, the guess must not be checked.
	Take(peer net.Addr) time.Duration
	// Return reports that the newest guess of the peer was correct.
	Return(peer net.Addr)
}

// judgement is the result of checking a request's secret.
type judgement uint8

const (
	admitted judgement = iota
	secretMissing
	secretWrong
	secretLimited // the peer has guessed too often, and was not checked
)

// guard compares digests of equal length, always all of them, so that the time taken reveals nothing about the values.
type guard struct {
	armed   bool
	digests [][sha256.Size]byte
	guesses Guesses
	mu      sync.Mutex // between Take and Return no other guess is counted
}

func newGuard(s Secret) *guard {
	g := &guard{armed: s.Header != "" && len(s.Values) > 0, guesses: s.Guesses}
	for _, v := range s.Values {
		if v != "" {
			g.digests = append(g.digests, sha256.Sum256([]byte(v)))
		}
	}
	return g
}

// judge reports whether a request may be answered. On a connection that has shown the secret it is only compared.
func (g *guard) judge(req *http1.Request) judgement {
	switch {
	case !g.armed:
		return admitted
	case req.Extra == "":
		return secretMissing
	case req.Vouched || g.guesses == nil || req.Remote == nil:
		return g.compare(req.Extra)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.guesses.Take(req.Remote) > 0 {
		return secretLimited
	}
	j := g.compare(req.Extra)
	if j == admitted {
		g.guesses.Return(req.Remote)
	}
	return j
}

func (g *guard) compare(value string) judgement {
	if g.admits(value) {
		return admitted
	}
	return secretWrong
}

func (g *guard) admits(value string) bool {
	if !g.armed {
		return true
	}
	var buf [256]byte // keeps a value of usual length off the heap
	d := sha256.Sum256(append(buf[:0], value...))
	found := 0
	for i := range g.digests {
		found |= subtle.ConstantTimeCompare(d[:], g.digests[i][:])
	}
	return found == 1
}

// rank returns the priority of a request when every place is taken: one with the secret displaces another.
func (o *Origin) rank(req *http1.Request) http1.Rank {
	switch g := o.guard(); {
	case isHealth(req):
		return http1.Urgent
	case g.armed && g.judge(req) == admitted:
		return http1.Trusted
	}
	return http1.Ordinary
}

// forbidden answers 403 to a request without the secret, and reports whether it did. The connection ends with it: it has no use here, and
// its place is needed.
func (o *Origin) forbidden(req *http1.Request, res *http1.Response) bool {
	g := o.guard() // one for both uses: it may be replaced meanwhile
	j := g.judge(req)
	switch j {
	case admitted:
		res.Vouch = g.armed
		return false
	case secretMissing:
		o.stats.SecretMissing.Add(1)
	case secretWrong:
		o.stats.SecretWrong.Add(1)
	case secretLimited:
		o.stats.SecretLimited.Add(1)
	}
	if j != secretMissing && req.Remote != nil {
		o.opts.Warn("http-secret", hostOf(req.Remote), "requests with a wrong secret are refused: is the CDN's header the one of http.cdn_secret?", "from", hostOf(req.Remote))
	}
	res.Close = true
	o.text(res, 403, ageNever, "forbidden\n")
	return true
}

// hostOf returns a peer's address without its port.
func hostOf(peer net.Addr) string {
	host, _, err := net.SplitHostPort(peer.String())
	if err != nil {
		return "unknown"
	}
	return host
}
