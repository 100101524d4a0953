package auth

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// quiet is a session that accepts everything.
type quiet struct{ closed error }

func (q *quiet) WriteFrame(*ingest.Frame) error { return nil }
func (q *quiet) Close(cause error)              { q.closed = cause }

// house accepts every publisher.
type house struct{ refuses error }

func (h *house) Publish(context.Context, ingest.Announce) (ingest.Session, error) {
	if h.refuses != nil {
		return nil, h.refuses
	}
	return &quiet{}, nil
}

// on is a publisher on the air.
type on struct {
	ingest.Session
	ended error // nil: it is on
}

func (r *rig) publish(t *testing.T, to *Rights, q ingest.Request) *on {
	t.Helper()
	grant, err := r.Authorize(t.Context(), q)
	if err != nil {
		t.Fatalf("%s/%s: %v", q.App, q.Name, err)
	}
	p := &on{}
	p.Session, err = to.Publish(t.Context(), ingest.Announce{App: q.App, Stream: grant.Stream, Right: grant.Right, Cancel: func(cause error) { p.ended = cause }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// exchange puts apps in force and reviews the publishers on the air.
func (r *rig) exchange(t *testing.T, rights *Rights, apps map[string]App) int {
	t.Helper()
	commit, err := r.Prepare(t.Context(), apps)
	if err != nil {
		t.Fatal(err)
	}
	commit()
	return rights.Review(t.Context())
}

// A publisher whose right is taken away is ended with a reason, and no other is.
func TestReviewEndsThoseWithoutARight(t *testing.T) {
	cam := ingest.Request{Protocol: "rtmp", App: "live", Name: "cam-key", Remote: remote}
	named := ingest.Request{Protocol: "rtmp", App: "live", Name: "cam", Password: "cam-key", Remote: remote}
	open := ingest.Request{Protocol: "rtmp", App: "live", Name: "cam", Remote: remote}
	near := ingest.Request{Protocol: "rtmp", App: "live", Name: "cam", Remote: local}
	keys := func(of ...string) map[string]App {
		k := map[string]string{}
		for _, s := range of {
			k[s] = s + "-key"
		}
		return map[string]App{"live": {Keys: k}}
	}
	with := func(apps map[string]App, f func(*App)) map[string]App {
		apps = maps.Clone(apps)
		a := apps["live"]
		f(&a)
		apps["live"] = a
		return apps
	}
	ranges := func(s string) func(*App) {
		return func(a *App) { a.Allow = []netip.Prefix{netip.MustParsePrefix(s)} }
	}
	everybody := map[string]App{"live": {Open: true}}
	for name, c := range map[string]struct {
		before, after map[string]App
		q             ingest.Request
		says          string // "": it stays
	}{
		"nothing changed":            {keys("cam"), keys("cam"), cam, ""},
		"another key comes":          {keys("cam"), keys("cam", "other"), cam, ""},
		"another key goes":           {keys("cam", "other"), keys("cam"), cam, ""},
		"its key is hashed":          {keys("cam"), map[string]App{"live": {Keys: map[string]string{"cam": Hash("cam-key")}}}, cam, ""},
		"its key goes":               {keys("cam", "other"), keys("other"), cam, "taken away"},
		"its key is another":         {keys("cam"), map[string]App{"live": {Keys: map[string]string{"cam": "new"}}}, cam, "taken away"},
		"its key is another's":       {keys("cam"), map[string]App{"live": {Keys: map[string]string{"other": "cam-key"}}}, cam, "taken away"},
		"its app goes":               {keys("cam"), map[string]App{"other": {}}, cam, `app "live" was taken out`},
		"all apps go":                {keys("cam"), nil, cam, `app "live" was taken out`},
		"it is in the ranges":        {keys("cam"), with(keys("cam"), ranges("203.0.113.0/24")), cam, ""},
		"it is not in the ranges":    {keys("cam"), with(keys("cam"), ranges("198.51.100.0/24")), cam, "certain addresses"},
		"its range goes":             {with(everybody, ranges("203.0.113.0/24")), with(everybody, ranges("198.51.100.0/24")), open, "certain addresses"},
		"the app opens, key as name": {keys("cam"), everybody, cam, "taken away"}, // it could not come back that way
		"the app opens":              {keys("cam"), everybody, named, ""},
		"the app closes":             {everybody, map[string]App{"live": {}}, open, "taken away"},
		"the app closes, it is near": {everybody, map[string]App{"live": {}}, near, ""},
		"the app gets keys":          {everybody, keys("cam"), open, "taken away"},
		"the app gets its key":       {everybody, keys("cam"), named, ""},
	} {
		r := newRig(t, c.before)
		rights := NewRights(r.Authorizer, &house{}, r.Authorizer.log)
		p := r.publish(t, rights, c.q)
		ended := r.exchange(t, rights, c.after)
		var refusal *ingest.Refusal
		switch {
		case c.says == "" && (p.ended != nil || ended != 0):
			t.Errorf("%s: ended: %v", name, p.ended)
		case c.says != "" && (!errors.As(p.ended, &refusal) || !strings.Contains(refusal.Reason, c.says) || ended != 1):
			t.Errorf("%s: %v", name, p.ended)
		}
		if s := r.log.String(); strings.Contains(s, "cam-key") || (c.says != "") != strings.Contains(s, "a publisher is ended") {
			t.Errorf("%s: the log says %s", name, s)
		}
	}
}

// Tokens are checked again when the settings they depend on change, and never for their age alone.
func TestReviewOfTokens(t *testing.T) {
	sign := newSigner(t, "HS256", "")
	jwt := func(secret string, algorithms ...string) map[string]App {
		return map[string]App{"live": {JWT: JWT{Secret: secret, Algorithms: append([]string{"HS256"}, algorithms...)}}}
	}
	secret := string(sign.key.([]byte))
	for name, c := range map[string]struct {
		after map[string]App
		stays bool
	}{
		"the same": {jwt(secret), true}, "one algorithm more": {jwt(secret, "ES256"), true}, "another secret": {jwt("another"), false},
		"no tokens": {map[string]App{"live": {Keys: map[string]string{"x": "y"}}}, false},
	} {
		r := newRig(t, jwt(secret))
		rights := NewRights(r.Authorizer, &house{}, nil)
		p := r.publish(t, rights, ingest.Request{App: "live", Name: sign.sign(t, good(r)), Remote: remote})
		r.clock = r.clock.Add(1000 * time.Hour) // it has expired
		if r.exchange(t, rights, c.after); (p.ended == nil) != c.stays {
			t.Errorf("%s: %v", name, p.ended)
		}
	}
}

// A key set that no longer holds a token's key ends nobody. Keys survive a reload, even while they cannot be fetched.
func TestReviewOfPublicKeys(t *testing.T) {
	one, two := newSigner(t, "ES256", "one"), newSigner(t, "ES256", "two")
	host := newKeyHost(t, one)
	app := func(url string) map[string]App {
		return map[string]App{"live": {JWT: JWT{JWKS: url, Algorithms: []string{"ES256"}}}}
	}
	r := newRig(t, app(host.URL))
	rights := NewRights(r.Authorizer, &house{}, nil)
	p := r.publish(t, rights, ingest.Request{App: "live", Name: one.sign(t, good(r)), Remote: remote})
	host.set(two)
	if r.exchange(t, rights, app(host.URL)); p.ended != nil {
		t.Errorf("its key was rotated: %v", p.ended)
	}
	host.Close()
	r.clock = r.clock.Add(time.Minute)
	r.exchange(t, rights, app(host.URL))
	if _, err := r.Authorize(t.Context(), ingest.Request{App: "live", Name: one.sign(t, good(r)), Remote: remote}); err != nil {
		t.Errorf("the last good copy is gone: %v", err)
	}
	if r.exchange(t, rights, app("http://127.0.0.1:1/")); p.ended != nil {
		t.Errorf("keys that cannot be had: %v", p.ended)
	}
	other := newKeyHost(t, two)
	if r.exchange(t, rights, app(other.URL)); p.ended == nil {
		t.Error("keys that do not have its own")
	}
}

// A back end that stays is not asked again. A new one is, and its answer counts if it gives one.
func TestReviewOfCallbacks(t *testing.T) {
	old := newBackEnd(t)
	old.say(200, "")
	for name, c := range map[string]struct {
		say   int
		body  string
		ended string
	}{
		"yes": {200, "", ""}, "no": {403, `{"reason": "not today"}`, "not today"}, "no answer": {500, "", ""},
		"another name": {200, `{"stream": "b"}`, "taken away"},
	} {
		r := newRig(t, old.app(Callback{}))
		rights := NewRights(r.Authorizer, &house{}, nil)
		p := r.publish(t, rights, ingest.Request{App: "live", Name: "cam", Remote: remote})
		asked := old.asks.Load()
		if r.exchange(t, rights, old.app(Callback{Timeout: time.Second})); p.ended != nil || old.asks.Load() != asked {
			t.Errorf("%s: the same back end: %v", name, p.ended)
		}
		next := newBackEnd(t)
		next.say(c.say, c.body)
		r.exchange(t, rights, next.app(Callback{}))
		if got := p.ended; (got != nil) != (c.ended != "") || got != nil && !strings.Contains(got.Error(), c.ended) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A publisher that has ended is not ended again, nor is one that was never admitted.
func TestRightsForget(t *testing.T) {
	r := newRig(t, map[string]App{"live": {Open: true}})
	h := &house{}
	rights := NewRights(r.Authorizer, h, nil)
	p := r.publish(t, rights, ingest.Request{App: "live", Name: "cam", Remote: remote})
	p.Close(ingest.ErrUnpublished)
	if q := p.Session.(*holder).Session.(*quiet); q.closed != ingest.ErrUnpublished {
		t.Errorf("closed with %v", q.closed)
	}
	h.refuses = errors.New("taken")
	grant, err := r.Authorize(t.Context(), ingest.Request{App: "live", Name: "cam", Remote: remote})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rights.Publish(t.Context(), ingest.Announce{App: "live", Stream: "cam", Right: grant.Right}); err != h.refuses {
		t.Errorf("%v", err)
	}
	if n := r.exchange(t, rights, nil); n != 0 || p.ended != nil {
		t.Errorf("%d were ended", n)
	}
	// A publisher that the previous settings admitted comes too late.
	h.refuses = nil
	if _, err := rights.Publish(t.Context(), ingest.Announce{App: "live", Stream: "cam", Right: grant.Right}); err == nil {
		t.Error("a right that is gone by now")
	}
	if len(rights.all) != 0 {
		t.Errorf("%d are remembered", len(rights.all))
	}
}

// Invalid settings are refused, and those in force stay.
func TestPrepareRefuses(t *testing.T) {
	r := newRig(t, map[string]App{"live": {Keys: map[string]string{"cam": "k"}}})
	if commit, err := r.Prepare(t.Context(), map[string]App{"live": {Keys: map[string]string{"a": "same", "b": "same"}}}); err == nil || commit != nil {
		t.Errorf("two streams of one key: %v", err)
	}
	if _, err := r.Prepare(t.Context(), map[string]App{"live": {Keys: map[string]string{"cam": "other"}}}); err != nil {
		t.Error(err)
	}
	if _, err := r.Authorize(t.Context(), ingest.Request{App: "live", Name: "k", Remote: remote}); err != nil {
		t.Errorf("before the commit: %v", err)
	}
}

// Run fetches the keys that the current apps name, and no others.
func TestRunFollowsTheSettings(t *testing.T) {
	first, second := make(chan struct{}, 100), make(chan struct{}, 100)
	count := func(c chan struct{}) *backEnd {
		b := newBackEnd(t)
		b.do(func(w http.ResponseWriter, _ *http.Request) {
			c <- struct{}{}
			w.WriteHeader(500)
		})
		return b
	}
	a, b := count(first), count(second)
	app := func(url string) map[string]App {
		return map[string]App{"live": {JWT: JWT{JWKS: url, Algorithms: []string{"ES256"}}}}
	}
	r := newRig(t, app(a.URL))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	<-first
	commit, err := r.Prepare(ctx, app(b.URL))
	if err != nil {
		t.Fatal(err)
	}
	<-second // by Prepare
	commit()
	<-second // by Run
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
