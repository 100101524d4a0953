package main

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/attempts"
	"github.com/hlsorigin/hlsorigin/ingest/auth"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// authOptions are who may publish.
func authOptions(cfg configs.Config, log *slog.Logger, episodes *ingest.Episodes) auth.Options {
	return auth.Options{Apps: publishers(cfg), ValidStream: segmenter.ValidStream, Log: log.With("part", "auth"), Episodes: episodes, Now: time.Now}
}

// publishers is who may publish to each app.
func publishers(cfg configs.Config) map[string]auth.App {
	apps := make(map[string]auth.App, len(cfg.Apps))
	for name, app := range cfg.Apps {
		keys := make(map[string]string, len(app.Keys))
		for stream, secret := range app.Keys {
			keys[stream] = string(secret)
		}
		j, c := app.Auth.JWT, app.Auth.Callback
		apps[name] = auth.App{
			Keys: keys, Open: app.Publish == configs.PublishOpen, Allow: configs.Ranges(app.Auth.Allow),
			JWT:      auth.JWT{Secret: string(j.Secret), JWKS: string(j.JWKS), Algorithms: j.Accepted()},
			Callback: auth.Callback{URL: string(c.URL), Timeout: c.Timeout.Std(), Cache: c.Cache.Std()},
		}
	}
	return apps
}

// greetApp says who may publish to an app.
func greetApp(log *slog.Logger, name string, app configs.App) {
	var who []string
	if len(app.Keys) > 0 {
		who = append(who, "who has a key")
	}
	if len(app.Auth.JWT.Accepted()) > 0 {
		who = append(who, "who has a token")
	}
	if app.Auth.Callback.URL != "" {
		who = append(who, "whom the callback knows")
	}
	open := app.Publish == configs.PublishOpen
	switch {
	case open:
		who = append(who, "anybody, as publish: open says")
	case len(who) == 0 && len(app.Auth.Allow) > 0:
		who = append(who, "anybody")
	case len(who) == 0:
		who = append(who, "only from this machine, because the app has no keys")
	}
	if len(app.Auth.Allow) > 0 {
		who = append(who, "all of them from the addresses in auth.allow")
	}
	level := slog.LevelInfo
	if open {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "app", "name", name, "publishers", strings.Join(who, ", "), "keys", len(app.Keys))
}

// admissionMetrics says how publishers were judged.
func (s *server) admissionMetrics(m meters) {
	const help = "Requests to publish, by how they were judged: with which right, or why not."
	for o := range auth.NumOutcomes {
		granted := map[bool]string{true: "true", false: "false"}[o.Granted()]
		m.counter("ingest_auth_total", help, prometheus.Labels{"granted": granted, "outcome": o.String()}, of(&s.authorizer.Stats.By[o]))
	}
	st := &s.authorizer.Stats
	m.counter("ingest_auth_jwks_fetches_total", "Sets of public keys for tokens that were fetched.", nil, of(&st.JWKSFetched))
	m.counter("ingest_auth_jwks_failures_total", "Fetches of public keys that failed; the last good copy stays in use.", nil, of(&st.JWKSFailures))
	places := func(load func(*listen.Stats) uint64) func() float64 {
		return func() (n float64) {
			for _, l := range s.limited {
				n += float64(load(&l.Stats))
			}
			return n
		}
	}
	m.counter("connections_displaced_total", "Connections to publish, and to the admin port, that were closed for newcomers: those that have waited longest and are not at work.", nil,
		places(func(st *listen.Stats) uint64 { return st.Displaced.Load() }))
	m.counter("connections_turned_away_total", "The same that were closed at once, because all others are at work.", nil,
		places(func(st *listen.Stats) uint64 { return st.RejectedTotal.Load() + st.RejectedPerAddress.Load() }))
	proxied := func(load func(*listen.Proxied) uint64) func() float64 {
		return func() (n float64) {
			for _, p := range s.proxied {
				n += float64(load(p))
			}
			return n
		}
	}
	m.counter("proxy_headers_total", "Connections of trusted proxies whose PROXY header was read.", nil, proxied(func(p *listen.Proxied) uint64 { return p.Headers.Load() }))
	m.counter("proxy_headers_bad_total", "Connections of trusted proxies that were closed for their PROXY header.", nil, proxied(func(p *listen.Proxied) uint64 { return p.Bad.Load() }))
}

// guesses counts wrong secrets of viewers by address, as the publishers' are.
type guesses struct{ *attempts.Limiter }

// Take implements origin.Guesses.
func (g guesses) Take(peer net.Addr) time.Duration { return g.Limiter.Take(addressOf(peer)) }

// Return implements origin.Guesses.
func (g guesses) Return(peer net.Addr) { g.Limiter.Return(addressOf(peer)) }

// addressOf is the key of a peer; those whose address cannot be read share one.
func addressOf(peer net.Addr) string {
	a, err := netip.ParseAddrPort(peer.String())
	if err != nil {
		return ""
	}
	return attempts.Address(a.Addr())
}
