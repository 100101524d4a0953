package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/auth"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp"
	"github.com/hlsorigin/hlsorigin/ingest/rtsp"
	"github.com/hlsorigin/hlsorigin/ingest/transcode"
	"github.com/hlsorigin/hlsorigin/origin"
	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// addresses are where a started server listens; nil where it does not.
type addresses struct{ http, https, admin, rtmp, rtmps, rtsp, rtsps net.Addr }

// server is the whole house: every part, and what runs of it.
type server struct {
	cfg configs.Config
	log *slog.Logger

	registry *segmenter.Registry
	rungs    *transcode.Publisher // in front of the registry, for those who publish
	archive  *archive
	budget   budget
	messages *ingest.Memory   // of publishers' unfinished messages and waiting frames
	episodes *ingest.Episodes // of what hostile peers cause, on every protocol

	authorizer *auth.Authorizer
	proxied    []*listen.Proxied

	rtmp   *rtmp.Server
	rtsp   *rtsp.Server
	origin *origin.Origin
	admin  *admin.Server
	ready  *readiness

	sockets sockets
	failed  chan error

	ingests, origins     []*service
	expiry, adminService *service
	admission            *service // public keys
}

// sockets are the open listeners.
type sockets struct{ http, https, admin, rtmp, rtmps, rtsp, rtsps net.Listener }

// expireInterval is how often silence is noticed: audio that is late at a cut waits no longer than this.
const expireInterval = 50 * time.Millisecond

// newServer builds every part. Nothing listens yet, and neither spool nor bucket is touched.
func newServer(cfg configs.Config, log *slog.Logger) (*server, error) {
	s := &server{cfg: cfg, log: log, failed: make(chan error, 1), ready: &readiness{}}
	var err error
	if s.budget, err = newBudget(cfg, os.ReadFile); err != nil {
		return nil, err
	}
	s.messages = ingest.NewMemory(s.budget.messages())
	s.registry = segmenter.NewRegistry(segmenter.Options{
		Apps: appOptions(cfg), Now: time.Now, Log: log,
		Memory: s.budget.share[windowShare], MaxMemory: s.budget.segments(), Waiting: s.messages,
		MaxStreams: max(1000, cfg.RTMP.MaxConnections+cfg.RTSP.MaxConnections), // one push may be several rungs
	})
	if s.archive, err = openArchive(cfg, &s.budget, s.registry, log); err != nil {
		return nil, err
	}
	s.ready.archive = s.archive
	s.episodes = ingest.NewEpisodes(log, time.Now)
	if s.authorizer, err = auth.New(authOptions(cfg, log, s.episodes)); err != nil {
		return nil, errors.Join(err, s.archive.close())
	}
	s.rungs = transcode.New(transcodeOptions(cfg, s.registry, log))
	s.rtmp = rtmp.New(rtmp.Options{
		Publisher: s.rungs, Authorizer: s.authorizer, Log: log.With("part", "rtmp"), Now: time.Now, Episodes: s.episodes, Memory: s.messages,
		IdleTimeout: cfg.RTMP.IdleTimeout.Std(), Coalesce: cfg.RTMP.Coalesce.Std(),
	})
	s.rtsp = rtsp.New(rtsp.Options{
		Publisher: s.rungs, Authorizer: s.authorizer, Log: log.With("part", "rtsp"), Now: time.Now, Episodes: s.episodes, Memory: s.messages, Password: s.authorizer.Password,
		UDPListen: cfg.RTSP.UDPRTP, ReadTimeout: time.Duration(cfg.RTSP.IdleTimeout),
	})
	s.origin = origin.New(originOptions(cfg, s, log))
	return s, nil
}

// open opens every listener that the configuration asks for, or none, and then takes up the recordings that a stop or a crash
// left unfinished. Who connects meanwhile waits.
func (s *server) open() (err error) {
	defer func() {
		if err != nil {
			s.sockets.close()
		}
	}()
	for _, l := range []struct {
		to      *net.Listener
		setting string
		address string
	}{
		{&s.sockets.admin, "admin.listen", s.cfg.Admin.Listen},
		{&s.sockets.http, "http.listen", s.cfg.HTTP.Listen},
		{&s.sockets.https, "http.tls.listen", s.cfg.HTTP.TLS.Listen},
		{&s.sockets.rtmp, "rtmp.listen", s.cfg.RTMP.Listen},
		{&s.sockets.rtmps, "rtmp.tls.listen", s.cfg.RTMP.TLS.Listen},
		{&s.sockets.rtsp, "rtsp.listen", s.cfg.RTSP.Listen},
		{&s.sockets.rtsps, "rtsp.tls.listen", s.cfg.RTSP.TLS.Listen},
	} {
		if *l.to, err = bind(l.setting, l.address); err != nil {
			return err
		}
	}
	listeners := 0
	for _, l := range []net.Listener{s.sockets.rtmp, s.sockets.rtmps, s.sockets.rtsp, s.sockets.rtsps} {
		if l != nil {
			listeners++
		}
	}
	limit := func(l net.Listener, total, each int) net.Listener {
		if l == nil {
			return nil
		}
		total = s.budget.publisherConnections(total, listeners)
		return listen.New(s.behindProxies(l), listen.Options{MaxConns: total, MaxPerAddress: each, Warn: s.episodes.Warn})
	}
	s.sockets.rtmp = limit(s.sockets.rtmp, s.cfg.RTMP.MaxConnections, s.cfg.RTMP.MaxConnectionsPerAddress)
	s.sockets.rtmps = limit(s.sockets.rtmps, s.cfg.RTMP.MaxConnections, s.cfg.RTMP.MaxConnectionsPerAddress)
	s.sockets.rtsp = limit(s.sockets.rtsp, s.cfg.RTSP.MaxConnections, s.cfg.RTSP.MaxConnectionsPerAddress)
	s.sockets.rtsps = limit(s.sockets.rtsps, s.cfg.RTSP.MaxConnections, s.cfg.RTSP.MaxConnectionsPerAddress)
	s.sockets.http, s.sockets.https = s.behindProxies(s.sockets.http), s.behindProxies(s.sockets.https)
	if s.sockets.rtmps, err = withTLS(s.sockets.rtmps, s.cfg.RTMP.TLS, "rtmp.tls"); err != nil {
		return err
	}
	if s.sockets.rtsps, err = withTLS(s.sockets.rtsps, s.cfg.RTSP.TLS, "rtsp.tls"); err != nil {
		return err
	}
	return s.archive.takeUp()
}

func (l *sockets) close() {
	for _, s := range []net.Listener{l.http, l.https, l.admin, l.rtmp, l.rtmps, l.rtsp, l.rtsps} {
		if s != nil {
			_ = s.Close()
		}
	}
}

func (l *sockets) addresses() addresses {
	at := func(s net.Listener) net.Addr {
		if s == nil {
			return nil
		}
		return s.Addr()
	}
	return addresses{http: at(l.http), https: at(l.https), admin: at(l.admin), rtmp: at(l.rtmp), rtmps: at(l.rtmps), rtsp: at(l.rtsp), rtsps: at(l.rtsps)}
}

// begin starts every loop, from the bucket's side to the publishers': whoever is started finds those it needs running.
func (s *server) begin() {
	serve := func(name string, l net.Listener, fn func(context.Context, net.Listener) error) *service {
		if l == nil {
			return nil
		}
		return start(name, s.failed, func(ctx context.Context) error { return fn(ctx, l) })
	}
	s.admin = admin.New(adminOptions(s.cfg, s, s.log)) // it shows the ports that were had
	s.adminService = serve("admin", s.sockets.admin, s.admin.Serve)
	s.archive.begin(s.failed)
	s.expiry = start("expiry", s.failed, every(expireInterval, func(now time.Time) {
		s.registry.Expire(now)
		s.episodes.Expire(now)
	}))
	s.admission = start("admission", s.failed, s.authorizer.Run)
	s.origins = []*service{
		serve("http", s.sockets.http, s.origin.Serve),
		serve("https", s.sockets.https, s.origin.ServeTLS),
	}
	s.ingests = []*service{
		serve("rtmp", s.sockets.rtmp, s.rtmp.Serve),
		serve("rtmps", s.sockets.rtmps, s.rtmp.Serve),
		serve("rtsp", s.sockets.rtsp, s.rtsp.Serve),
		serve("rtsps", s.sockets.rtsps, s.rtsp.ServeTLS),
	}
	s.ready.set(true)
}

// Time that each step of a stop may take; uploads have their own setting.
const (
	ingestStop  = 3 * time.Second
	durableStop = 5 * time.Second
	adminStop   = 3 * time.Second
)

// end stops in the reverse order. With hold, recordings are left open for the next start; else each of them ends.
// A second signal on hurry cuts the uploads short.
func (s *server) end(hold bool, hurry <-chan os.Signal) error {
	s.ready.set(false)
	var all error
	step := func(name string, within time.Duration, fn func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		began := time.Now()
		if err := fn(ctx); err != nil {
			all = errors.Join(all, fmt.Errorf("stopping %s: %w", name, err))
		}
		s.log.Debug("stopped", "step", name, "took", time.Since(began))
	}
	step("ingest", ingestStop, func(ctx context.Context) error {
		err := stopAll(ctx, s.ingests...)
		err = errors.Join(err, s.admission.stop(ctx), s.rungs.Close(ctx))
		err = errors.Join(err, s.expiry.stop(ctx))
		s.registry.Close(!hold)
		return err
	})
	step("mirror", durableStop, s.archive.settle)
	step("origin", time.Duration(s.cfg.HTTP.DrainTimeout)+time.Second, func(ctx context.Context) error { return stopAll(ctx, s.origins...) })
	step("uploads", time.Duration(s.cfg.Shutdown.Timeout), func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		done := make(chan struct{})
		defer close(done)
		go func() {
			select {
			case <-hurry:
				cancel()
			case <-done:
			}
		}()
		return s.archive.flush(ctx)
	})
	step("admin", adminStop, func(ctx context.Context) error { return s.adminService.stop(ctx) })
	return errors.Join(all, s.archive.close())
}

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
	if *demo {
		return runDemo(cfg, env)
	}
	s, err := newServer(cfg, log)
	if err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return errors.Join(err, s.archive.close())
	}
	s.budget.govern(log)
	s.begin()
	s.greet()
	if env.started != nil {
		env.started(s.sockets.addresses())
	}
	return s.wait(env.signals, env.retry)
}

// wait runs until a signal or a failure, and stops the server. What comes on retry tries at once what waits for a bucket.
func (s *server) wait(signals, retry <-chan os.Signal) error {
	for {
		select {
		case <-retry:
			s.log.Info("uploads that wait are tried now", "signal", "SIGUSR1")
			s.archive.mirror.Retry()
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

// port is a listener's port; 0 where there is none.
func port(a net.Addr) int {
	if a == nil {
		return 0
	}
	_, p, _ := net.SplitHostPort(a.String())
	n, _ := strconv.Atoi(p)
	return n
}
