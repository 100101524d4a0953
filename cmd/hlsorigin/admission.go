package main

import (
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest"
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
		apps[name] = auth.App{Keys: keys, Open: app.Publish == configs.PublishOpen, Allow: configs.Ranges(app.Auth.Allow)}
	}
	return apps
}

// greetApp says who may publish to an app.
func greetApp(log *slog.Logger, name string, app configs.App) {
	who := map[bool]string{true: " from the addresses in auth.allow"}[len(app.Auth.Allow) > 0]
	switch {
	case len(app.Keys) > 0:
		log.Info("app", "name", name, "publishers", "who has a key"+who, "keys", len(app.Keys))
	case app.Publish == configs.PublishOpen:
		log.Warn("app", "name", name, "publishers", "anybody"+who+", as publish: open says")
	case who != "":
		log.Info("app", "name", name, "publishers", "anybody"+who)
	default:
		log.Info("app", "name", name, "publishers", "only from this machine, because the app has no keys")
	}
}

// behindProxies makes a listener read PROXY headers, where there are proxies that send them.
func (s *server) behindProxies(l net.Listener) net.Listener {
	if l == nil || len(s.cfg.TrustedProxies) == 0 {
		return l
	}
	p := listen.NewProxied(l, listen.ProxyOptions{Trusted: configs.Ranges(s.cfg.TrustedProxies), Warn: s.episodes.Warn})
	s.proxied = append(s.proxied, p)
	return p
}

// admissionMetrics says how publishers were judged.
func (s *server) admissionMetrics(m meters) {
	const help = "Requests to publish, by how they were judged: with which right, or why not."
	for o := range auth.NumOutcomes {
		granted := map[bool]string{true: "true", false: "false"}[o.Granted()]
		m.counter("ingest_auth_total", help, prometheus.Labels{"granted": granted, "outcome": o.String()}, of(&s.authorizer.Stats.By[o]))
	}
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
