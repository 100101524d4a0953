package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/budget"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/cluster"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/control"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/hooks"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/part"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/series"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/systemd"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/vodjobs"
	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/auth"
	"github.com/hlsorigin/hlsorigin/ingest/httpput"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp"
	"github.com/hlsorigin/hlsorigin/ingest/rtsp"
	"github.com/hlsorigin/hlsorigin/ingest/transcode"
	"github.com/hlsorigin/hlsorigin/origin"
	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/origin/remote"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// server is the whole house: what its parts are made of.
type server struct {
	cfg   configs.Config // until the server has begun; then config and setConfig
	cfgMu sync.Mutex
	log   *slog.Logger

	registry *segmenter.Registry
	rungs    *transcode.Publisher // in front of the registry, for those who publish
	archive  *archive
	jobs     *vodjobs.Service // nil without a bucket
	budget   budget.Budget
	messages *ingest.Memory // of publishers' unfinished messages and waiting frames
	hooks    *hooks.Hooks
	episodes *ingest.Episodes // of what hostile peers cause, on every protocol

	authorizer *auth.Authorizer
	rights     *auth.Rights     // in front of the rungs
	cluster    *cluster.Cluster // its Door is in front of the rights
	proxied    []*listen.Proxied
	limited    []limited

	rtmp   *rtmp.Server
	rtsp   *rtsp.Server
	put    *httpput.Server
	origin *origin.Origin
	remote *remote.Remote // for streams that other servers have; nil where there are none
	admin  *admin.Server
	api    *api.API
	ready  *readiness
	series *series.Collector // of single streams, for Prometheus

	sockets              sockets
	rtmpsCert, rtspsCert certificate
	putsCert             certificate
	failed               chan error

	ingests, origins     []*part.Service
	clusters             []*part.Service
	remoteService        *part.Service
	expiry, adminService *part.Service
	hooksService         *part.Service
	jobsService          *part.Service
	admission            *part.Service // public keys

	reloads       reloads
	reloadService *part.Service
	manager       systemd.Manager // that started us, if any
	demo          admin.Demo      // that we publish, if any
	watchdog      *part.Service

	// How it stops; set before it does.
	hold  bool             // recordings are left open for the next start; else each of them ends
	hurry <-chan os.Signal // a signal on it cuts the uploads short
}

// expireInterval is how often silence is noticed: audio that is late at a cut waits no longer than this.
const expireInterval = 50 * time.Millisecond

// newServer builds every part. Nothing listens yet, and neither spool nor bucket is touched.
func newServer(cfg configs.Config, log *slog.Logger) (*server, error) {
	s := &server{cfg: cfg, log: log, failed: make(chan error, 1), ready: &readiness{}, rtmpsCert: certificate{setting: "rtmp.tls"}, rtspsCert: certificate{setting: "rtsp.tls"}, putsCert: certificate{setting: "ingest_http.tls"}}
	s.reloads.at.Store(time.Now().Unix())
	var err error
	if s.budget, err = budget.New(memorySettings(cfg), os.ReadFile); err != nil {
		return nil, err
	}
	s.messages = ingest.NewMemory(s.budget.Messages())
	s.registry = segmenter.NewRegistry(segmenter.Options{
		Apps: appOptions(cfg), Now: time.Now, Log: log,
		Memory: s.budget.Shares[budget.Window], MaxMemory: s.budget.Segments(), Waiting: s.messages,
		MaxStreams: maxStreams(cfg), Confirmed: confirmed(cfg),
	})
	if s.hooks, err = hooks.New(cfg, versionString(), log); err != nil {
		return nil, err
	}
	if s.archive, err = openArchive(cfg, &s.budget, s.messages.Limit(), s.registry, s.hooks.Archive, log); err != nil {
		return nil, err
	}
	s.ready.archive = s.archive
	s.series = series.New(status{reg: s.registry, unsent: s.archive.unsent}.series, cfg.Metrics.MaxStreams)
	s.episodes = ingest.NewEpisodes(log, time.Now)
	if s.authorizer, err = auth.New(authOptions(cfg, log, s.episodes)); err != nil {
		return nil, errors.Join(err, s.archive.close(context.Background()))
	}
	s.rungs = transcode.New(transcodeOptions(cfg, s.admitting(cfg, log), s.messages, log))
	s.rights = auth.NewRights(s.authorizer, s.rungs, log.With("part", "auth"))
	s.cluster = cluster.New(clusterOptions(cfg, s, log))
	s.ready.drained = s.cluster.Drained
	s.rtmp = rtmp.New(rtmp.Options{
		Publisher: s.cluster, Authorizer: s.authorizer, Log: log.With("part", "rtmp"), Now: time.Now, Episodes: s.episodes, Memory: s.messages,
		IdleTimeout: cfg.RTMP.IdleTimeout.Std(), Coalesce: func() (usual, urgent time.Duration) { return coalesce(s.config()) },
	})
	s.rtsp = rtsp.New(rtsp.Options{
		Publisher: s.cluster, Authorizer: s.authorizer, Log: log.With("part", "rtsp"), Now: time.Now, Episodes: s.episodes, Memory: s.messages, Password: s.authorizer.Password,
		UDPListen: cfg.RTSP.UDPRTP, ReadTimeout: time.Duration(cfg.RTSP.IdleTimeout),
	})
	s.put = httpput.New(putOptions(cfg, s, log))
	if s.cluster.On() && len(s.archive.stores) > 0 {
		s.remote = remote.New(remoteOptions(cfg, s))
	}
	s.origin = origin.New(originOptions(cfg, s, log))
	return s, nil
}

// Time that each part may take to stop; viewers and uploads have settings of their own.
const (
	quickStop   = 3 * time.Second
	durableStop = 5 * time.Second
)

// parts are what the server starts, from the bucket's side to the publishers': each finds those running that it needs. It
// stops in the reverse order, in which every frame that came in still finds its way out.
//
// ctx is that of the start: when it ends, what waits for somebody gives up.
func (s *server) parts(ctx context.Context) part.List {
	cfg := s.config()
	return part.List{
		{Name: "log", Stop: s.flushLog, Within: quickStop, Prepare: s.prepareLog},
		{Name: "buckets", Stop: s.archive.close, Within: quickStop},
		{Name: "listeners", Start: s.open, Stop: func(context.Context) error { s.sockets.close(); return nil }, Within: quickStop, Prepare: s.prepareListeners},
		{Name: "memory", Start: func() error { s.budget.Govern(s.log); return nil }},
		{Name: "spool", Start: func() error { return s.archive.takeUp(ctx) }},
		{Name: "cluster", Start: func() error { return s.startCluster(ctx) }, Stop: func(ctx context.Context) error { return part.StopAll(ctx, s.clusters...) }, Within: quickStop, Prepare: s.prepareCluster},
		{Name: "admin", Start: s.startAdmin, Stop: func(ctx context.Context) error { return s.adminService.Stop(ctx) }, Within: quickStop, Prepare: s.prepareAdmin},
		{Name: "hooks", Start: s.startHooks, Stop: func(ctx context.Context) error { return s.hooksService.Stop(ctx) }, Within: durableStop, Prepare: s.prepareHooks},
		{Name: "jobs", Start: s.startJobs, Stop: func(ctx context.Context) error { return s.jobsService.Stop(ctx) }, Within: durableStop, Prepare: s.prepareJobs},
		{Name: "uploads", Start: s.startArchive, Stop: s.flush, Within: cfg.Shutdown.Timeout.Std(), Prepare: s.archive.prepare},
		{Name: "remote", Start: s.startRemote, Stop: func(ctx context.Context) error { return s.remoteService.Stop(ctx) }, Within: quickStop},
		{Name: "origin", Start: s.startOrigin, Stop: func(ctx context.Context) error { return part.StopAll(ctx, s.origins...) }, Within: cfg.HTTP.DrainTimeout.Std() + time.Second, Prepare: s.prepareOrigin},
		{Name: "mirror", Stop: s.archive.settle, Within: durableStop}, // from here on nothing is only in memory
		{Name: "segmenter", Start: s.startExpiry, Stop: s.closeRecordings, Within: quickStop, Prepare: s.prepareSegmenter},
		{Name: "admission", Start: s.startAdmission, Stop: func(ctx context.Context) error { return s.admission.Stop(ctx) }, Within: quickStop, Prepare: s.prepareAdmission},
		{Name: "transcode", Stop: s.rungs.Close, Within: quickStop, Prepare: s.prepareTranscode},
		{Name: "ingest", Start: func() error { return s.startIngest(ctx) }, Stop: func(ctx context.Context) error { return part.StopAll(ctx, s.ingests...) }, Within: quickStop},
		{Name: "readiness", Start: func() error { s.ready.set(true); return nil }, Stop: func(context.Context) error { s.ready.set(false); return nil }, Within: quickStop},
		{Name: "reload", Start: s.startReloads, Stop: func(ctx context.Context) error { return s.reloadService.Stop(ctx) }, Within: quickStop},
		{Name: "service manager", Start: s.startManager, Stop: s.stopManager, Within: quickStop},
	}
}

// serve starts a server on a listener; nil where there is none.
func (s *server) serve(name string, l net.Listener, fn func(context.Context, net.Listener) error) *part.Service {
	if l == nil {
		return nil
	}
	return part.Run(name, s.failed, func(ctx context.Context) error { return fn(ctx, l) })
}

// startCluster answers the other servers, and then tells them of this one.
func (s *server) startCluster(ctx context.Context) error {
	s.clusters = []*part.Service{s.serve("cluster", s.sockets.cluster, s.cluster.Serve)}
	if err := s.cluster.Begin(ctx, s.archive.node); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), quickStop)
		defer cancel()
		return errors.Join(err, part.StopAll(stop, s.clusters...))
	}
	s.clusters = append(s.clusters, part.Run("cluster", s.failed, s.cluster.Run))
	return nil
}

func (s *server) startAdmin() error {
	if len(s.archive.stores) > 0 {
		s.jobs = vodjobs.New(jobsOptions(s.cfg, s))
	}
	o := adminOptions(s.cfg, s, s.log) // it shows the ports that were had
	o.API = func(long admin.Long) http.Handler {
		s.api = api.New(apiOptions(s, o.Streams, long))
		return s.api
	}
	s.admin = admin.New(o)
	commit, err := s.api.Prepare(control.Tokens(s.cfg))
	if err != nil {
		return err
	}
	commit()
	s.adminService = s.serve("admin", s.sockets.admin, s.admin.Serve)
	return nil
}

func (s *server) startHooks() error {
	s.hooks.Open()
	s.hooksService = part.Run("hooks", s.failed, func(ctx context.Context) error { return s.hooks.Run(ctx, s.registry) })
	return nil
}

func (s *server) startJobs() error {
	if s.jobs != nil {
		s.jobsService = part.Run("jobs", s.failed, s.jobs.Run)
	}
	return nil
}

func (s *server) startArchive() error {
	s.archive.begin(s.failed)
	return nil
}

func (s *server) startRemote() error {
	if s.remote != nil {
		s.remoteService = part.Run("remote", s.failed, s.remote.Run)
	}
	return nil
}

func (s *server) startOrigin() error {
	s.origins = []*part.Service{
		s.serve("http", s.sockets.http, s.origin.Serve),
		s.serve("https", s.sockets.https, s.origin.ServeTLS),
	}
	return nil
}

func (s *server) startExpiry() error {
	s.expiry = part.Run("expiry", s.failed, part.Every(expireInterval, func(now time.Time) {
		s.registry.Expire(now)
		s.expireLog(now)
	}))
	return nil
}

// closeRecordings flushes the last segment of each, and ends them or leaves them open.
func (s *server) closeRecordings(ctx context.Context) error {
	err := s.expiry.Stop(ctx)
	s.registry.Close(!s.hold)
	return err
}

func (s *server) startAdmission() error {
	s.admission = part.Run("admission", s.failed, s.authorizer.Run)
	return nil
}

// startIngest lets publishers in. Those who send HLS find what they sent to the process before.
func (s *server) startIngest(ctx context.Context) error {
	if s.sockets.put != nil || s.sockets.puts != nil {
		s.archive.keeper.TakeUp(ctx, s.put)
	} else {
		s.archive.keeper.Forget()
	}
	s.ingests = []*part.Service{
		s.serve("rtmp", s.sockets.rtmp, s.rtmp.Serve),
		s.serve("rtmps", s.sockets.rtmps, s.rtmp.Serve),
		s.serve("rtsp", s.sockets.rtsp, s.rtsp.Serve),
		s.serve("rtsps", s.sockets.rtsps, s.rtsp.ServeTLS),
		s.serve("http ingest", s.sockets.put, s.put.Serve),
		s.serve("https ingest", s.sockets.puts, s.put.Serve),
	}
	return nil
}

func (s *server) startReloads() error {
	if s.reloads.from.load != nil {
		s.reloadService = part.Run("reload", s.failed, s.runReloads)
	}
	return nil
}

// startManager tells the service manager that the server is ready, and then that it lives. That a manager does not listen is no
// reason to stop a show.
func (s *server) startManager() error {
	tell := func(err error) {
		if err != nil {
			s.log.Warn("the service manager cannot be told how the server is: it may be restarted by it", "error", err)
		}
	}
	tell(s.manager.Ready())
	if s.manager.Watched() {
		s.watchdog = part.Run("watchdog", s.failed, func(ctx context.Context) error {
			tell(s.manager.Run(ctx, func() { s.registry.Expire(time.Now()) }))
			<-ctx.Done()
			return nil
		})
	}
	return nil
}

func (s *server) stopManager(ctx context.Context) error {
	return errors.Join(s.manager.Stopping(), s.watchdog.Stop(ctx))
}

// flush uploads until ctx is done or somebody is in a hurry.
func (s *server) flush(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-s.hurry:
			cancel()
		case <-done:
		}
	}()
	return s.archive.flush(ctx)
}
