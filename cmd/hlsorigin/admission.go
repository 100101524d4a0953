package main

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/hlsorigin/hlsorigin/origin/peer"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/pair"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/gate"
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

// admitting is where those go who publish: to the registry, and in a cluster through the gate before it.
func (s *server) admitting(c configs.Config, log *slog.Logger) ingest.Publisher {
	if !c.Cluster.On() || len(s.archive.stores) == 0 {
		return s.registry
	}
	s.archive.gate = gate.New(gate.Options{
		Registry: s.registry, Mirror: s.archive.mirror, Store: s.archive.stores[0], Now: time.Now, Log: log.With("part", "gate"),
		Peer: peers{s}, Others: peers{s}.others, Twin: twins{s}, Took: s.took, Loses: s.loses, Warn: s.episodes.Warn,
	})
	return s.archive.gate
}

// took notes a recording that this server goes on with.
func (s *server) took(t gate.Taken) {
	for _, stream := range s.allOf(t.Key) {
		s.remote.Took(t.Key.App, stream, t.Recording)
	}
	s.hooks.Took(t)
}

// loses notes a recording that this server is about to let go of.
func (s *server) loses(key segmenter.Key, id segmenter.RecordingID) {
	for _, stream := range s.allOf(key) {
		s.origin.Loses(key.App, stream, id)
	}
}

// allOf are the streams that are meant where a ladder is: those of its rungs, too.
func (s *server) allOf(key segmenter.Key) []string {
	if w, part := s.registry.Whole(key); part && w.Key == key {
		return append([]string{key.Stream}, w.Streams...)
	}
	return []string{key.Stream}
}

// standbys are the publishers that stand by.
func (s *server) standbys() []gate.Beside {
	if s.archive.gate == nil {
		return nil
	}
	return s.archive.gate.Standbys()
}

// standing is how many they are, and how many of them are silent.
func (s *server) standing() (all, silent int) {
	for _, b := range s.standbys() {
		if all++; b.State == gate.StandbyQuiet {
			silent++
		}
	}
	return all, silent
}

// peers asks other servers for the gate.
type peers struct{ s *server }

// others are the other servers of the cluster.
func (p peers) others() (all []claim.Server) {
	for _, n := range p.s.cluster.Known() {
		if !n.Self {
			all = append(all, claim.Server{Node: n.Node.Node, Address: n.Address})
		}
	}
	return all
}

// unsentPoll is how often a server is asked again that has lost its publisher, and still sends what came last.
const unsentPoll = 50 * time.Millisecond

// Fed implements gate.Peer. It waits, as long as ctx lets it, until the other server has sent all that it had: what it sends later would come
// under numbers that are this server's by then.
func (p peers) Fed(ctx context.Context, address, app, stream string) (bool, error) {
	fed, unsent, err := p.s.cluster.Fed(ctx, address, app, stream)
	for err == nil && !fed && unsent > 0 {
		select {
		case <-time.After(unsentPoll):
		case <-ctx.Done():
			return false, nil
		}
		if f, n, failed := p.s.cluster.Fed(ctx, address, app, stream); failed == nil {
			fed, unsent = f, n
		}
	}
	return fed, err
}

// twins asks other servers for publishers that stand by.
type twins struct{ s *server }

// Report implements gate.Twin.
func (t twins) Report(ctx context.Context, address, app, stream string, step bool) (r pair.Report, ok bool, err error) {
	if r, ok, err = t.s.cluster.Report(ctx, address, app, stream, step); errors.Is(err, peer.ErrAway) {
		err = fmt.Errorf("%w: %w", gate.ErrAway, err)
	}
	return r, ok, err
}

// Segment implements gate.Twin.
func (t twins) Segment(ctx context.Context, address string, name segmenter.Name) ([]byte, error) {
	return t.s.cluster.Segment(ctx, address, name)
}

// gateMetrics say what became of publishers whose streams other servers had.
func (s *server) gateMetrics(m meters) {
	g := &gate.Stats{}
	if s.archive.gate != nil {
		g = s.archive.gate.Stats()
	}
	m.counter("cluster_takeovers_total", "Recordings of other servers that this one went on with.", nil, of(&g.Takeovers))
	m.counter("cluster_takeovers_failed_total", "Attempts at that which failed: the publisher was refused, and tries again.", nil, of(&g.Failed))
	m.gauge("cluster_standbys", "Publishers that stand by for another server that has their stream.", nil, of(&g.Standing))
	m.gauge("cluster_standbys_silent", "Of them, those from whose encoders nothing comes: they protect from nothing.", nil, func() float64 {
		_, silent := s.standing()
		return float64(silent)
	})
	m.counter("cluster_standby_joins_total", "Publishers that stand by and found where what they send is what the other server is fed.", nil, of(&g.Joined))
	m.counter("cluster_standby_segments_total", "Segments that both servers have completed, by whether they are the same. One that is not ends the standby.", prometheus.Labels{"same": "true"}, of(&g.Same))
	m.counter("cluster_standby_segments_total", "Segments that both servers have completed, by whether they are the same. One that is not ends the standby.", prometheus.Labels{"same": "false"}, of(&g.Different))
	m.counter("cluster_standby_refused_total", "Publishers sent away because they cannot stand by: they send something else, or the settings differ.", nil, of(&g.Unlike))
	m.counter("cluster_standby_takeovers_total", "Of the takeovers, those by a publisher that stood by: without a discontinuity, and without a loss.", nil, of(&g.Promotions))
	const help = "Publishers refused, by why: another server has the stream, or the bucket does not say which."
	m.counter("cluster_publishers_refused_total", help, prometheus.Labels{"reason": "elsewhere"}, of(&g.Refused))
	m.counter("cluster_publishers_refused_total", help, prometheus.Labels{"reason": "unknown"}, of(&g.Unknown))
}
