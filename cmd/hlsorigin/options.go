package main

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/budget"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/cluster"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/control"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/overview"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/owners"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/vodjobs"
	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest/attempts"
	"github.com/hlsorigin/hlsorigin/ingest/httpput"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
	"github.com/hlsorigin/hlsorigin/origin"
	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/origin/peer"
	"github.com/hlsorigin/hlsorigin/origin/remote"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
)

// appOptions are the settings of every app: hls with the app's own values over it.
func appOptions(c configs.Config) map[string]segmenter.AppOptions {
	apps := make(map[string]segmenter.AppOptions, len(c.Apps))
	for name, app := range c.Apps {
		h := app.HLS.Over(c.HLS)
		apps[name] = segmenter.AppOptions{
			SegmentDuration: h.SegmentDuration.Std(), Window: h.Window.Std(),
			TargetDuration: h.TargetDuration.Std(), MaxTargetDuration: h.MaxTargetDuration.Std(),
			ReconnectGrace: h.ReconnectGrace.Std(), EndGrace: h.EndGrace.Std(), RestartGrace: h.RestartGrace.Std(),
			EndedTTL: h.EndedTTL.Std(), TakeoverAfter: h.TakeoverAfter.Std(), PDTMaxDrift: h.PDTMaxDrift.Std(),
			LowLatency: h.LowLatency, Deterministic: h.Deterministic, PartDuration: h.PartDuration.Std(), ArchiveSplit: c.HLS.ArchiveSplit.Std(),
			Groups: groups(app), Audio: app.Audio, SessionData: sessionData(app.SessionData),
		}
	}
	return apps
}

// confirmed reports whether viewers are shown a segment only when the bucket has it.
func confirmed(c configs.Config) bool { return c.Cluster.On() && !c.Cluster.LiveFirst }

// sessionData is an app's, in an order of its own.
func sessionData(byID map[string]string) (all []m3u8.SessionData) {
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		all = append(all, m3u8.SessionData{ID: id, Value: byID[id]})
	}
	return all
}

// maxLowCoalesce is how long the bytes of what viewers wait for gather at most.
const maxLowCoalesce = 10 * time.Millisecond

// coalesce is how long an RTMP publisher's bytes gather before they are read, and how long while viewers of its parts wait for them.
func coalesce(c configs.Config) (usual, urgent time.Duration) {
	usual = c.RTMP.Coalesce.Std()
	return usual, min(usual, maxLowCoalesce)
}

// memorySettings are what is set of the memory budget.
func memorySettings(c configs.Config) budget.Settings {
	return budget.Settings{Total: c.Memory.Bytes(), Window: c.HLS.Memory.Bytes(), Archive: c.Spool.Memory.Bytes()}
}

func originOptions(cfg configs.Config, s *server, log *slog.Logger) origin.Options {
	rules := s.originRules(cfg)
	secret := origin.Secret{Header: cfg.HTTP.CDNSecret.Header, Values: rules.Secrets, Guesses: guesses{attempts.New(attempts.Options{Now: time.Now})}}
	o := origin.Options{
		Streams: s.registry, Archive: s.archive.reader(), Disk: s.archive.disk(), Recordings: s.archive.finder(), Settled: s.archive.settled, Now: time.Now, Log: log.With("part", "http"), Warn: s.episodes.Warn,
		CORSOrigins: rules.CORSOrigins, Secret: secret, FailOnStale: rules.FailOnStale, NoCMAF: rules.NoCMAF,
		TargetDuration: time.Duration(cfg.HLS.SegmentDuration),
		MaxConnections: rules.MaxConnections, MaxHeld: s.budget.HeldRequests(), MaxHeads: s.budget.Heads(), MaxUnsent: s.budget.Unsent(),
		CacheBytes: s.budget.Shares[budget.Pages], FragmentBytes: s.budget.Shares[budget.Fragments], MaxPlaylist: s.budget.Playlist(), IdleTimeout: time.Duration(cfg.HTTP.IdleTimeout),
		DrainTimeout: time.Duration(cfg.HTTP.DrainTimeout),
	}
	if o.Remote = s.remote; s.remote != nil {
		o.FragmentBytes /= 2
		if s.archive.reading != nil {
			o.Forget = s.archive.reading.Forget
		}
		o.Taking = func(app, stream string) bool {
			return s.archive.gate != nil && s.archive.gate.Taking(segmenter.Key{App: app, Stream: stream})
		}
	}
	if t := cfg.HTTP.TLS; t.Listen != "" {
		o.TLS = &origin.TLS{CertFile: t.Cert, KeyFile: t.Key, Load: loadKeyPair}
	}
	return o
}

// remoteOptions are how viewers are answered for streams that other servers of the cluster have.
func remoteOptions(cfg configs.Config, s *server) remote.Options {
	return remote.Options{
		Owners: claims(cfg, s),
		Client: s.cluster.Client().HTTP(), Now: time.Now, Warn: s.episodes.Warn, Alive: s.cluster.Alive,
		MaxRequests: peer.MaxConns, MaxBytes: s.budget.Shares[budget.Fragments] / 2, MaxPage: s.budget.Playlist(),
	}
}

// claims say which server has a stream.
func claims(cfg configs.Config, s *server) *owners.Owners {
	return &owners.Owners{
		Store: s.archive.stores[0], Address: cfg.Cluster.Address, Node: s.cluster.Name,
		Ladder: func(app, stream string) (string, bool) {
			return s.registry.LadderOf(segmenter.Key{App: app, Stream: stream})
		},
	}
}

// originRules are those of origin's options that a reload may change.
func (s *server) originRules(cfg configs.Config) origin.Rules {
	r := origin.Rules{
		CORSOrigins: cfg.HTTP.CORSOrigins, FailOnStale: cfg.HTTP.FailOnStale,
		MaxConnections: s.budget.ViewerConnections(cfg.HTTP.MaxConnections, cfg.HTTP.TLS.Listen != ""),
		CertFile:       cfg.HTTP.TLS.Cert, KeyFile: cfg.HTTP.TLS.Key,
	}
	for name, app := range cfg.Apps {
		if !app.HLS.Over(cfg.HLS).CMAF {
			r.NoCMAF = append(r.NoCMAF, name)
		}
	}
	for _, v := range cfg.HTTP.CDNSecret.Values {
		r.Secrets = append(r.Secrets, string(v))
	}
	return r
}

// putOptions are how HLS is taken that encoders send.
func putOptions(cfg configs.Config, s *server, log *slog.Logger) httpput.Options {
	o := httpput.Options{
		Publisher: s.cluster, Authorizer: s.authorizer, Password: s.authorizer.Password, Log: log.With("part", "put"), Now: time.Now, Episodes: s.episodes, Memory: s.messages,
		Keyed: s.authorizer.Keyed,
		Rung: func(app, stream string) bool {
			named, pattern := s.registry.Laddered(segmenter.Key{App: app, Stream: stream})
			return named || pattern
		},
		Form: func(app, ladder string, rungs []string) error {
			return s.registry.Form(segmenter.Key{App: app, Stream: ladder}, rungs)
		},
		IdleTimeout: cfg.IngestHTTP.IdleTimeout.Std(), MaxSegment: cfg.IngestHTTP.MaxSegment.Bytes(), MaxStreams: maxStreams(cfg),
	}
	if s.archive.keeper != nil {
		o.Keep = s.archive.keeper.Keep
	}
	return o
}

// clusterOptions are what makes the server one of several that share the bucket.
func clusterOptions(cfg configs.Config, s *server, log *slog.Logger) cluster.Options {
	o := cluster.Options{
		Settings: cfg.Cluster, Version: versionString(), Registry: s.registry, Next: s.rights, Unsent: s.archive.unsent,
		Coming: func(key segmenter.Key) bool { return s.archive.gate != nil && s.archive.gate.Coming(key) },
		TakeoverAfter: func(app string) time.Duration {
			c := s.config()
			return c.Apps[app].HLS.Over(c.HLS).TakeoverAfter.Std()
		},
		Media: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if secret := s.config().HTTP.CDNSecret; len(secret.Values) > 0 { // another server has shown a better one
				r.Header.Set(secret.Header, string(secret.Values[0]))
			}
			s.origin.ServeLocal(w, r)
		}),
		Now: time.Now, Log: log.With("part", "cluster"), Warn: s.episodes.Warn, Standbys: s.standing,
		Dismiss: func() {
			if s.archive.gate != nil {
				s.archive.gate.Dismiss()
			}
		},
	}
	if len(s.archive.stores) > 0 {
		o.Store = s.archive.stores[0]
	}
	return o
}

// jobsOptions are how files become packages.
func jobsOptions(cfg configs.Config, s *server) vodjobs.Options {
	return vodjobs.Options{
		Config: cfg, Store: s.archive.stores[0], Node: s.archive.node, Hooks: s.hooks.Hooks, Now: time.Now, Log: s.log.With("part", "jobs"),
		Bucket:     func(name string) (storage.Store, error) { return anotherBucket(cfg.Storage.Bucket, name, s.log) },
		Conditions: s.archive.mirror.Uploaders()[0].Conditions, // the bucket's
	}
}

// maxStreams is how many streams may be live at once. One push may be several rungs.
func maxStreams(cfg configs.Config) int {
	return max(1000, cfg.RTMP.MaxConnections+cfg.RTSP.MaxConnections)
}

func adminOptions(cfg configs.Config, s *server, log *slog.Logger) admin.Options {
	o := admin.Options{
		Logger: log.With("part", "admin"), Version: versionString(),
		Ready: s.ready, Sync: s.archive, Streams: status{reg: s.registry, unsent: s.archive.unsent, beside: s.standbys}, Memory: shares{s}, Metrics: s.metrics(),
		Pprof: cfg.Admin.Pprof, Hosts: cfg.Admin.Hosts, PublicURL: cfg.HTTP.PublicURL,
		HLSJS: cfg.Admin.HLSJS.URL, Integrity: cfg.Admin.HLSJS.Integrity, Script: admin.EmbeddedScript(),
	}
	if o.Script != nil && cfg.Admin.HLSJS == configs.Default().Admin.HLSJS { // the same script, and who set none wants any
		o.HLSJS, o.Integrity = admin.ScriptPath, ""
	}
	o.Settle, o.Demo = listen.Settle, s.demo
	if g := s.archive.gate; g != nil {
		o.Publish = admission{g.Ready}
	}
	a := s.sockets.addresses()
	o.PublicPort, o.RTMPPort = port(a.http), port(a.rtmp)
	for name := range cfg.Apps {
		if o.App == "" || name < o.App {
			o.App = name
		}
	}
	return o
}

// apiOptions are what operators' programs see of the server and may change.
func apiOptions(s *server, streams admin.Streams, long admin.Long) api.Options {
	level := &slog.LevelVar{}
	if logs := s.reloads.from.logs; logs != nil {
		level = &logs.level
	}
	o := api.Options{
		Version: versionString(), Streams: control.Streams{Status: streams, Groups: status{reg: s.registry, unsent: s.archive.unsent}.ladders, Registry: s.registry, Now: time.Now}, Hooks: control.Hooks{Hooks: s.hooks},
		Server: control.Server{InForce: s.config, LogLevel: level, RetryNow: s.retry, ReloadBy: func(ctx context.Context) ([]configs.Change, int, error) {
			r, err := s.Reload(ctx)
			return r.Changes, r.Ended, err
		}},
		Guesses: control.Guesses{Limiter: attempts.New(attempts.Options{Now: time.Now})}, Long: long, Log: s.log.With("part", "api"), Warn: s.episodes.Warn, Now: time.Now,
	}
	o.Cluster = control.Cluster{Cluster: s.cluster, Keep: func() time.Duration { return s.config().Cluster.Drain.Std() }}
	if s.cluster.On() {
		o.Elsewhere = control.Elsewhere(claims(s.config(), s), s.cluster.Known)
	}
	o.Overviews = overview.Overview{
		Now: time.Now, Streams: o.Streams, Checks: s.ready, Registry: s.registry, Mirror: s.archive.mirror,
		Viewers: func() int64 { return s.origin.Stats().Connections.Load() }, Nodes: func() []api.Node { return control.Nodes(s.cluster.Known()) },
	}
	if s.jobs != nil {
		o.Jobs = s.jobs
	}
	if len(s.archive.stores) > 0 {
		o.Sync = s.archive
		var libraries []*library.Library
		for _, store := range s.archive.stores {
			libraries = append(libraries, library.New(storage.Retry(store, storage.RetryOptions{Attempts: readAttempts}), library.Options{}))
		}
		o.Recordings = control.Recordings{Libraries: libraries}
		o.Clips = control.Clips{
			Libraries: libraries, Registry: s.registry, Sync: s.archive.Sync, InForce: s.config, Now: time.Now,
			Made: func(c *library.Clip) {
				s.archive.names.Learn(c.App, c.Title)
				s.hooks.Clip(c)
			},
		}
	}
	return o
}
