package auth

import (
	"crypto/sha256"
	"net/netip"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/attempts"
)

// Limits are what attempts are counted by. They outlive an Authorizer that a reload replaces.
type Limits struct {
	wrong     *attempts.Limiter // by address and by secret
	questions *attempts.Limiter // by address: requests without credentials, which every RTSP encoder begins with
}

// NewLimits makes Limits by the clock now. Ten wrong credentials in a row cost nothing, one is forgiven each 30 s, and beyond
// each further one costs a pause, of 1 s at first and of a minute at most. Questions are cheap, and a whole studio behind one
// address may ask them at once: 200 in a row and one each second are free.
func NewLimits(now func() time.Time) *Limits {
	return &Limits{
		wrong:     attempts.New(attempts.Options{Now: now}),
		questions: attempts.New(attempts.Options{Now: now, Burst: 200, Every: time.Second, MaxPause: 10 * time.Second}),
	}
}

// secretKey is the bucket of what was sent. That it is of the secret and not of the stream keeps strangers from locking a
// stream's own encoder out, by guessing at its name.
func secretKey(r ingest.Request) string {
	h := sha256.New()
	for _, s := range []string{r.App, r.Name, r.User, r.Password, r.Token} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return "secret " + string(h.Sum(nil))
}

// take asks for leave to judge a request; a wait of 0 is leave.
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

// good takes the attempt back: it was none at guessing.
func (l *Limits) good(r ingest.Request, ip netip.Addr) {
	address := attempts.Address(ip)
	if question(r) {
		l.questions.Return(address)
		return
	}
	l.wrong.Return(address)
	l.wrong.Return(secretKey(r))
}
