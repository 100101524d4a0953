package main

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"syscall"

	"github.com/hlsorigin/hlsorigin/configs"
)

// serveCommand runs the server until a signal ends it.
func serveCommand(args []string, env environment) error {
	f := flags("hlsorigin")
	path := configFlag(f, env)
	demo := f.Bool("demo", false, "")
	if err := parse(f, args); err != nil {
		return err
	}
	cfg, err := configs.Load(*path, env.vars)
	if err != nil {
		return err
	}
	log := newLog(cfg.Log, env)
	slog.SetDefault(log.With("part", "library")) // where the standard library has something to say, it does so here
	if *demo {
		return runDemo(cfg, env)
	}
	s, err := newServer(cfg, log)
	if err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	s.greet()
	if env.started != nil {
		env.started(s.sockets.addresses())
	}
	return s.wait(env.signals, env.retry)
}

// begin starts every part, or none.
func (s *server) begin() error { return startAll(s.parts(), s.log) }

// end stops every part. With hold, recordings are left open for the next start; else each of them ends. A second signal on
// hurry cuts the uploads short.
func (s *server) end(hold bool, hurry <-chan os.Signal) error {
	s.hold, s.hurry = hold, hurry
	return stopAll(s.parts(), s.log)
}

// wait runs until a signal or a failure, and stops the server. What comes on retry tries at once what waits for a bucket.
func (s *server) wait(signals, retry <-chan os.Signal) error {
	for {
		select {
		case <-retry:
			s.log.Info("uploads and webhooks that wait are tried now", "signal", "SIGUSR1")
			s.archive.mirror.Retry()
			s.hooks.Retry()
		case sig := <-signals:
			hold := sig == syscall.SIGTERM && s.cfg.Shutdown.Hold
			s.log.Info("stopping", "signal", sig.String(), "recordings", map[bool]string{true: "held over for the next start", false: "end"}[hold])
			return s.end(hold, signals)
		case err := <-s.failed:
			s.log.Error("a part failed, the server stops", "error", err)
			return errors.Join(err, s.end(true, signals))
		}
	}
}

// greet says where to publish and watch, and who may.
func (s *server) greet() {
	a := s.sockets.addresses()
	for _, l := range []struct {
		what string
		at   net.Addr
	}{{"HLS", a.http}, {"HLS over TLS", a.https}, {"RTMP", a.rtmp}, {"RTMPS", a.rtmps}, {"RTSP", a.rtsp}, {"RTSPS", a.rtsps}, {"admin", a.admin}} {
		if l.at != nil {
			s.log.Info("listening", "for", l.what, "on", l.at.String())
		}
	}
	for name, app := range s.cfg.Apps {
		greetApp(s.log, name, app)
	}
	s.log.Info("archive", "bucket", s.cfg.Storage.URL, "spool", s.cfg.Spool.Dir)
}
