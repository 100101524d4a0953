package auth

import (
	"crypto/sha256"
	"net/netip"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/attempts"
)

// Limits count attempts. They outlive an Authorizer that a reload replaces.
type Limits struct {
	wrong     *attempts.Limiter // by address and by secret
	questions *attempts.Limiter // by address: requests without credentials, with which every RTSP encoder begins
}

// NewLimits returns Limits on the clock now. Ten wrong credentials in a row cost nothing, and one is forgiven every 30 s. Each one beyond
// costs a pause, which grows from 1 s to a minute. Questions are cheap, and a whole studio behind one address may ask them at once: 200 in
// a row and one a second are free.
func NewLimits(now func() time.Time) *Limits {
	return &Limits{
		wrong:     attempts.New(attempts.Options{Now: now}),
		questions: attempts.New(attempts.Options{Now: now, Burst: 200, Every: time.Second, MaxPause: 10 * time.Second}),
	}
}

// secretKey is the bucket of what was sent. It belongs to the secret and not to the stream, so that strangers cannot lock out a stream's
// own encoder by guessing at its name.
func secretKey(r ingest.Request) string {
	h := sha256.New()
	for _, s := range []string{r.App, r.Name, r.User, r.Password, r.Token} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return "secret " + string(h.Sum(nil))
}

// take asks to check a request and returns how long to wait; 0 means go ahead.
func (l *Limits) take(r ingest.Request, ip netip.Addr) time.Duration {
	address := attempts.Address(ip)
	if question(r) {
		return l.questions.Take(address)
	}
	if wait := l.wrong.Take(address); wait > 0 {
		return wait
	}
	wait := l.wrong.Take(secretKey(r))
	if wait > 0 {
		l.wrong.Return(address)
	}
	return wait
}

// good takes the attempt back: it was not a guess.
func (l *Limits) good(r ingest.Request, ip netip.Addr) {
	address := attempts.Address(ip)
	if question(r) {
		l.questions.Return(address)
		return
	}
	l.wrong.Return(address)
	l.wrong.Return(secretKey(r))
}
