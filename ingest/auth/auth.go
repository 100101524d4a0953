// Package auth decides who may publish what, from the settings of each app: secret keys that stand for public names, an
// open app, or, with neither, encoders on this machine alone. It refuses to say why a secret was wrong, and no secret
// ever appears in what it returns.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// App is how one app admits publishers.
type App struct {
	// Keys maps public stream names to secret keys. Where there are any, nobody publishes without one.
	Keys map[string]string
	// Open lets anybody publish under any name, where there are no keys.
	Open bool
}

// Options of an Authorizer.
type Options struct {
	Apps map[string]App
	// ValidStream tells whether a public name may name a stream; nil accepts every name but the empty one.
	ValidStream func(string) bool
}

// Authorizer is an ingest.Authorizer. It is immutable: a reload makes a new one.
type Authorizer struct {
	apps  map[string]app
	names []string // of the apps, sorted
	valid func(string) bool
}

type app struct {
	keys []key
	open bool
}

// key holds a digest, so that comparing takes the same time whatever the lengths.
type key struct {
	stream string
	secret [sha256.Size]byte
}

// New checks the settings: each key needs a name that can name a stream, and a secret that is not empty and is no other's.
func New(o Options) (*Authorizer, error) {
	a := &Authorizer{apps: make(map[string]app, len(o.Apps)), valid: o.ValidStream}
	if a.valid == nil {
		a.valid = func(s string) bool { return s != "" }
	}
	for name, settings := range o.Apps {
		built := app{open: settings.Open}
		seen := make(map[string]string, len(settings.Keys))
		for stream, secret := range settings.Keys {
			if !a.valid(stream) {
				return nil, fmt.Errorf("apps.%s.keys: %q cannot name a stream: %s", name, stream, grammar)
			}
			if secret == "" {
				return nil, fmt.Errorf("apps.%s.keys.%s: the secret key is empty", name, stream)
			}
			if other, ok := seen[secret]; ok {
				first, second := min(other, stream), max(other, stream)
				return nil, fmt.Errorf("apps.%s.keys: %s and %s have the same secret key", name, first, second)
			}
			seen[secret] = stream
			built.keys = append(built.keys, key{stream, sha256.Sum256([]byte(secret))})
		}
		a.apps[name] = built
		a.names = append(a.names, name)
	}
	slices.Sort(a.names)
	return a, nil
}

// grammar is what a stream name must be, for people.
const grammar = "use letters, digits, '_', '-' and '.', at most 128, beginning with a letter or digit, and no file ending such as .m3u8 or .ts"

// Authorize answers with a Grant or with an *ingest.Refusal.
func (a *Authorizer) Authorize(_ context.Context, r ingest.Request) (ingest.Grant, error) {
	settings, ok := a.apps[r.App]
	switch {
	case !ok:
		return ingest.Grant{}, a.unknownApp()
	case len(settings.keys) > 0:
		return settings.keyed(r)
	}
	ip, local := peer(r.Remote)
	if !settings.open && !local {
		return ingest.Grant{}, ingest.Refuse(ingest.Unauthorized,
			"app %q has no publish keys, so only encoders on the server itself may publish: set apps.%s.keys, or apps.%s.publish: open", r.App, r.App, r.App)
	}
	if r.Name == "" {
		return ingest.Grant{}, ingest.Refuse(ingest.BadName, "the stream name is empty: put one into the encoder's stream key, or at the end of the URL")
	}
	if !a.valid(r.Name) {
		// The name is not repeated: it may be a secret that was meant for another app.
		return ingest.Grant{}, ingest.Refuse(ingest.BadName, "this name cannot name a stream: %s", grammar)
	}
	return ingest.Grant{Stream: r.Name, Identity: ip}, nil
}

// keyed finds the stream whose secret was sent: as the name itself, or as the password beside the public name. All keys
// are compared, so that the time says nothing.
func (s app) keyed(r ingest.Request) (ingest.Grant, error) {
	public := r.Name
	if public == "" {
		public = r.User
	}
	name, password := sha256.Sum256([]byte(r.Name)), sha256.Sum256([]byte(r.Password))
	var stream string
	for _, k := range s.keys {
		byName := subtle.ConstantTimeCompare(name[:], k.secret[:])
		byPassword := subtle.ConstantTimeCompare(password[:], k.secret[:])
		if byName == 1 || byPassword == 1 && public == k.stream {
			stream = k.stream
		}
	}
	if stream == "" {
		return ingest.Grant{}, ingest.Refuse(ingest.Unauthorized,
			"wrong or missing publish key: put the secret key into the encoder's stream key, or use NAME?key=SECRET")
	}
	return ingest.Grant{Stream: stream, Identity: stream}, nil
}

// unknownApp names the apps that exist, as the public URLs do, and never what was sent: it may be a secret in the wrong place.
func (a *Authorizer) unknownApp() error {
	const most = 5
	known := strings.Join(a.names[:min(most, len(a.names))], ", ")
	switch {
	case known == "":
		return ingest.Refuse(ingest.UnknownApp, "this app does not exist: no app is configured, add one under apps")
	case len(a.names) > most:
		known += ", …"
	}
	return ingest.Refuse(ingest.UnknownApp, "this app does not exist: use one of %s in the URL, as in rtmp://HOST/APP/STREAM, or add it under apps", known)
}

// peer is the address without its port, and whether it is this machine's own.
func peer(remote string) (ip string, local bool) {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host, false
	}
	a = a.Unmap()
	return a.WithZone("").String(), a.IsLoopback()
}
