package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin"
	"github.com/hlsorigin/hlsorigin/origin/admin"
)

func originOptions(cfg configs.Config, s *server, log *slog.Logger) origin.Options {
	var secret origin.Secret // without values there is no check
	for _, v := range cfg.HTTP.CDNSecret.Values {
		secret.Header = cfg.HTTP.CDNSecret.Header
		secret.Values = append(secret.Values, string(v))
	}
	o := origin.Options{
		Streams: s.registry, Archive: s.archive.reader(), Disk: s.archive.disk(), Recordings: s.archive.finder(), Settled: s.archive.settled, Now: time.Now, Log: log.With("part", "http"),
		CORSOrigins: cfg.HTTP.CORSOrigins, Secret: secret, FailOnStale: cfg.HTTP.FailOnStale,
		TargetDuration: time.Duration(cfg.HLS.SegmentDuration),
		MaxConnections: s.budget.viewerConnections(cfg.HTTP.MaxConnections), MaxHeld: s.budget.heldRequests(),
		CacheBytes: s.budget.share[pagesShare], MaxPlaylist: s.budget.playlist(), IdleTimeout: time.Duration(cfg.HTTP.IdleTimeout),
		DrainTimeout: time.Duration(cfg.HTTP.DrainTimeout),
	}
	if t := cfg.HTTP.TLS; t.Listen != "" {
		o.TLS = &origin.TLS{CertFile: t.Cert, KeyFile: t.Key}
	}
	return o
}

// localHLSJS is where `make web` puts the player script for use without the internet.
const localHLSJS = "web/hls.min.js"

func adminOptions(cfg configs.Config, s *server, log *slog.Logger) admin.Options {
	o := admin.Options{
		Logger: log.With("part", "admin"), Version: versionString(),
		Ready: s.ready, Sync: s.archive, Streams: status{reg: s.registry, unsent: s.archive.unsent}, Memory: shares{s}, Metrics: s.metrics(),
		Pprof: cfg.Admin.Pprof, Hosts: cfg.Admin.Hosts, PublicURL: cfg.HTTP.PublicURL,
		HLSJS: cfg.Admin.HLSJS.URL, Integrity: cfg.Admin.HLSJS.Integrity, LocalHLSJS: localHLSJS,
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

// withTLS puts TLS on a listener of publishers.
func withTLS(l net.Listener, c configs.TLS, setting string) (net.Listener, error) {
	if l == nil {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return l, fmt.Errorf("%s: %w", setting, err)
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}), nil
}
