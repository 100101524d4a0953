// Package auth decides who may publish what, from the settings of each app: secret keys that stand for public names, signed tokens, a back
// end that is asked, address ranges, an open app, or, with none of these, encoders on this machine only. It refuses to say why a secret was
// wrong, and no secret ever appears in what it returns or logs.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// App is how one app admits publishers. Its methods are tried in this order: keys, tokens, the callback. The first that recognises the
// publisher admits it.
type App struct {
	// Keys maps public stream names to secret keys, plain or as returned by Hash.
	Keys map[string]string
	// Open admits anybody under any name, unless another method is set.
	Open bool
	// Allow lists the addresses that may publish; empty means all. If no other method is set, having one of them is enough.
	Allow []netip.Prefix

	JWT      JWT
	Callback Callback
}

// Options of an Authorizer.
type Options struct {
	Apps map[string]App
	// ValidStream reports whether a public name is a valid stream name; nil accepts every name but the empty one.
	ValidStream func(string) bool

	Limits   *Limits          // on wrong credentials; default NewLimits
	Log      *slog.Logger     // default: none
	Episodes *ingest.Episodes // for what hostile peers cause; default: one on Log
	Now      func() time.Time // default time.Now
}

// Authorizer is an ingest.Authorizer. Its apps can be replaced while it runs: see Prepare.
type Authorizer struct {
	Stats Stats

	client   *http.Client // for back ends
	settings atomic.Pointer[settings]
	swapped  chan struct{} // has one element when settings were replaced that Run has not seen yet
	valid    func(string) bool
	limits   *Limits
	log      *slog.Logger
	episodes *ingest.Episodes
	now      func() time.Time
}

// settings are the apps at one time. They never change.
type settings struct {
	apps  map[string]app
	names []string         // of the apps, sorted
	jwks  map[string]*jwks // by URL
}

type app struct {
	keys   []key
	open   bool
	allow  []netip.Prefix
	tokens *tokens   // nil if no tokens are accepted
	ask    *callback // nil if nobody is asked

	jwt      JWT
	callback Callback
}

// asks reports whether the app wants credentials.
func (s app) asks() bool { return len(s.keys) > 0 || s.tokens != nil || s.ask != nil }

// New checks the settings: each key needs a valid stream name, and a secret that is unique and not empty.
func New(o Options) (*Authorizer, error) {
	a := &Authorizer{
		client: newClient(), swapped: make(chan struct{}, 1), valid: o.ValidStream, limits: o.Limits, log: o.Log, episodes: o.Episodes, now: o.Now,
	}
	if a.valid == nil {
		a.valid = func(s string) bool { return s != "" }
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.limits == nil {
		a.limits = NewLimits(a.now)
	}
	if a.episodes == nil {
		a.episodes = ingest.NewEpisodes(a.log, a.now)
	}
	built, err := a.build(o.Apps, &settings{})
	if err != nil {
		return nil, err
	}
	a.settings.Store(built)
	return a, nil
}

// build makes settings from apps. It carries over what the previous settings have learned and is still of use: public keys, and answers of
// back ends.
func (a *Authorizer) build(apps map[string]App, before *settings) (*settings, error) {
	s := &settings{apps: make(map[string]app, len(apps)), jwks: map[string]*jwks{}}
	for name, o := range apps {
		keys, err := newKeys(o.Keys, a.valid)
		if err != nil {
			return nil, fmt.Errorf("apps.%s.keys: %w", name, err)
		}
		built := app{keys: keys, open: o.Open, allow: o.Allow, jwt: o.JWT, callback: o.Callback}
		if o.JWT.set() {
			built.tokens = newTokens(o.JWT, a.jwksOf(o.JWT.JWKS, s, before), a.now)
		}
		if o.Callback.URL != "" {
			if old := before.apps[name]; old.ask != nil && old.callback == o.Callback {
				built.ask = old.ask
			} else {
				built.ask = newCallback(o.Callback, a.client, a.now)
			}
		}
		s.apps[name] = built
		s.names = append(s.names, name)
	}
	slices.Sort(s.names)
	return s, nil
}

// grammar describes a valid stream name to people.
const grammar = "use letters, digits, '_', '-' and '.', at most 128, beginning with a letter or digit, and no file ending such as .m3u8 or .ts"

// Authorize returns a Grant or an *ingest.Refusal. It may wait for a back end, for no longer than its setting allows.
func (a *Authorizer) Authorize(ctx context.Context, r ingest.Request) (ingest.Grant, error) {
	all := a.settings.Load()
	grant, why, err := a.decide(ctx, all, r)
	a.Stats.By[why].Add(1)
	if err == nil {
		grant.Right = all.right(r, why)
	}
	return grant, err
}

func (a *Authorizer) decide(ctx context.Context, all *settings, r ingest.Request) (ingest.Grant, Outcome, error) {
	settings, ok := all.apps[r.App]
	if !ok {
		return ingest.Grant{}, UnknownApp, unknownApp(all.names)
	}
	ip := peer(r.Remote)
	if len(settings.allow) > 0 && !within(settings.allow, ip) {
		return ingest.Grant{}, WrongAddress, ingest.Refuse(ingest.Unauthorized, "publishers of this app come from certain addresses only, and %s is none of them: see apps.%s.auth.allow", ip, r.App)
	}
	if settings.asks() {
		return a.asked(ctx, settings, r, ip)
	}
	if !settings.open && len(settings.allow) == 0 && !ip.IsLoopback() {
		return ingest.Grant{}, NoKeys, ingest.Refuse(ingest.Unauthorized,
			"app %q has no publish keys, so only encoders on the server itself may publish: set apps.%s.keys, or apps.%s.publish: open", r.App, r.App, r.App)
	}
	if err := a.public(r.Name); err != nil {
		return ingest.Grant{}, BadName, err
	}
	return ingest.Grant{Stream: r.Name, Identity: ip.String()}, GrantedOpen, nil
}

// public returns why a name that an encoder sent cannot be public.
func (a *Authorizer) public(name string) error {
	switch {
	case name == "":
		return ingest.Refuse(ingest.BadName, "the stream name is empty: put one into the encoder's stream key, or at the end of the URL")
	case !a.valid(name): // The name is not repeated: it may be a secret meant for another app.
		return ingest.Refuse(ingest.BadName, "this name cannot name a stream: %s", grammar)
	}
	return nil
}

// unknownApp names the apps that exist, since the public URLs do too. It never repeats what was sent: that may be a secret in the wrong
// place.
func unknownApp(names []string) error {
	const most = 5
	known := strings.Join(names[:min(most, len(names))], ", ")
	switch {
	case known == "":
		return ingest.Refuse(ingest.UnknownApp, "this app does not exist: no app is configured, add one under apps")
	case len(names) > most:
		known += ", …"
	}
	return ingest.Refuse(ingest.UnknownApp, "this app does not exist: use one of %s in the URL, HOST/APP/STREAM, or add it under apps", known)
}

// Password returns the plain key of a stream, for checking a Digest. ok is false if there is none: a key stored as a hash cannot be checked
// against a Digest. digest reports whether the app can use Digest at all.
func (a *Authorizer) Password(app, name string) (password string, ok, digest bool) {
	for _, k := range a.settings.Load().apps[app].keys {
		digest = digest || k.plain != ""
		if k.stream == name && k.plain != "" {
			password, ok = k.plain, true
		}
	}
	return password, ok, digest
}

// Keyed reports whether a stream of an app has a key of its own.
func (a *Authorizer) Keyed(app, stream string) bool {
	return slices.ContainsFunc(a.settings.Load().apps[app].keys, func(k key) bool { return k.stream == stream })
}

// peer returns the address that a request came from, or the zero Addr.
func peer(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// within reports whether an address is in one of the ranges.
func within(ranges []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(ip) })
}

var errNoName = errors.New("cannot name a stream: " + grammar)
