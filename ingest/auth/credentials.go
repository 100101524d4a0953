package auth

import (
	"context"
	"net/netip"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// asked checks credentials, within the limits on attempts.
func (a *Authorizer) asked(ctx context.Context, settings app, r ingest.Request, ip netip.Addr) (ingest.Grant, Outcome, error) {
	if wait := a.limits.take(r, ip); wait > 0 {
		a.episodes.Warn("attempts", ip.String(), "publishers are made to wait: wrong credentials came too often",
			"app", r.App, "address", ip.String(), "protocol", r.Protocol, "wait", wait.Round(time.Second).String())
		return ingest.Grant{}, Paused, ingest.Refuse(ingest.TooMany, "wrong credentials came too often: wait %d s and try again", 1+int(wait.Seconds()))
	}
	grant, why, err := a.credentials(ctx, settings, r, ip)
	if err == nil || !why.counts() {
		a.limits.good(r, ip)
	}
	return grant, why, err
}

// credentials tries the methods the app has.
func (a *Authorizer) credentials(ctx context.Context, settings app, r ingest.Request, ip netip.Addr) (ingest.Grant, Outcome, error) {
	if stream, ok := find(settings.keys, r); ok {
		return ingest.Grant{Stream: stream, Identity: stream}, GrantedKey, nil
	}
	if token := tokenOf(r); token != "" && settings.tokens != nil {
		stream, ours, why, err := settings.tokens.judge(ctx, r, token, a.valid)
		if err == nil {
			return ingest.Grant{Stream: stream, Identity: stream}, why, nil
		}
		if ours || settings.ask == nil {
			return ingest.Grant{}, why, err
		}
	}
	switch {
	case settings.ask != nil:
		return a.called(ctx, settings.ask, r, ip)
	case question(r):
		return ingest.Grant{}, Question, ingest.Refuse(ingest.Unauthorized, "a publish key is needed: send it as the password, or use NAME?key=SECRET")
	}
	return ingest.Grant{}, WrongKey, errUnknownKey()
}

// called asks the app's back end. Without an answer it refuses.
func (a *Authorizer) called(ctx context.Context, c *callback, r ingest.Request, ip netip.Addr) (ingest.Grant, Outcome, error) {
	said, err := c.ask(ctx, r, ip)
	stream := r.Name
	if said.stream != "" {
		stream = said.stream
	}
	switch {
	case err != nil:
		a.episodes.Warn("callback", r.App, "auth.callback does not answer: publishers of the app are refused until it does, those who send already are not touched",
			"app", r.App, "host", hostOf(c.URL), "error", err)
		return ingest.Grant{}, Unasked, ingest.Refuse(ingest.Overloaded, "the server cannot ask now whether this key may publish: try again later")
	case said.allowed && !a.valid(stream) && said.stream != "":
		a.episodes.Warn("callback name", r.App, "auth.callback gave a name that cannot name a stream: "+grammar, "app", r.App, "host", hostOf(c.URL))
		return ingest.Grant{}, Unasked, ingest.Refuse(ingest.Overloaded, "the server was told a name that it cannot publish under: see its log")
	case said.allowed && !a.valid(stream):
		return ingest.Grant{}, BadName, a.public(stream)
	case said.allowed:
		return ingest.Grant{Stream: stream, Identity: stream}, GrantedCallback, nil
	}
	why := Denied
	if question(r) {
		why = Question
	}
	if said.reason == "" {
		return ingest.Grant{}, why, errUnknownKey()
	}
	return ingest.Grant{}, why, ingest.Refuse(ingest.Unauthorized, "%s", said.reason)
}

// errUnknownKey says all there is to say about a wrong key.
func errUnknownKey() error { return ingest.Refuse(ingest.Unauthorized, "this key is not known here") }

// question reports whether a request carries no credentials except perhaps its name. Over RTSP and HTTP encoders ask like this first, to learn
// that credentials are needed; over RTMP the name itself is the guess.
func question(r ingest.Request) bool {
	return r.Password == "" && r.Token == "" && (r.Protocol == "rtsp" || r.Protocol == "http" || r.Name == "")
}
