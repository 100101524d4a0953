package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
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

// server is the whole house: what its parts are made of.
type server struct {
	cfg configs.Config
	log *slog.Logger

	registry *segmenter.Registry
	rungs    *transcode.Publisher // in front of the registry, for those who publish
	archive  *archive
	episodes *ingest.Episodes // of what hostile peers cause, on every protocol

	authorizer *auth.Authorizer
	proxied    []*listen.Proxied
	limited    []*listen.Listener

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

	// How it stops; set before it does.
	hold  bool             // recordings are left open for the next start; else each of them ends
	hurry <-chan os.Signal // a signal on it cuts the uploads short
}

// expireInterval is how often silence is noticed: audio that is late at a cut waits no longer than this.
const expireInterval = 50 * time.Millisecond

// newServer builds every part. Nothing listens yet, and neither spool nor bucket is touched.
func newServer(cfg configs.Config, log *slog.Logger) (*server, error) {
	s := &server{cfg: cfg, log: log, failed: make(chan error, 1), ready: &readiness{}}
	s.registry = segmenter.NewRegistry(segmenter.Options{
		Apps: appOptions(cfg), Now: time.Now, Log: log, Memory: memoryBudget(cfg.HLS.Memory.Bytes()),
		MaxStreams: max(1000, cfg.RTMP.MaxConnections+cfg.RTSP.MaxConnections), // one push may be several rungs
	})
	var err error
	if s.archive, err = openArchive(cfg, s.registry, log); err != nil {
		return nil, err
	}
	s.ready.archive = s.archive
	s.episodes = ingest.NewEpisodes(log, time.Now)
	if s.authorizer, err = auth.New(authOptions(cfg, log, s.episodes)); err != nil {
		return nil, errors.Join(err, s.archive.close(context.Background()))
	}
	s.rungs = transcode.New(transcodeOptions(cfg, s.registry, log))
	s.rtmp = rtmp.New(rtmp.Options{
		Publisher: s.rungs, Authorizer: s.authorizer, Log: log.With("part", "rtmp"), Now: time.Now, Episodes: s.episodes,
		IdleTimeout: cfg.RTMP.IdleTimeout.Std(), Coalesce: cfg.RTMP.Coalesce.Std(),
	})
	s.rtsp = rtsp.New(rtsp.Options{
		Publisher: s.rungs, Authorizer: s.authorizer, Log: log.With("part", "rtsp"), Now: time.Now, Episodes: s.episodes, Password: s.authorizer.Password,
		UDPListen: cfg.RTSP.UDPRTP, ReadTimeout: time.Duration(cfg.RTSP.IdleTimeout),
	})
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
func (s *server) parts(ctx context.Context) []part {
	return []part{
		{name: "log", stop: s.flushLog, within: quickStop},
		{name: "buckets", stop: s.archive.close, within: quickStop},
		{name: "listeners", start: s.open, stop: func(context.Context) error { s.sockets.close(); return nil }, within: quickStop},
		{name: "spool", start: func() error { return s.archive.takeUp(ctx) }},
		{name: "admin", start: s.startAdmin, stop: func(ctx context.Context) error { return s.adminService.stop(ctx) }, within: quickStop},
		{name: "uploads", start: s.startArchive, stop: s.flush, within: s.cfg.Shutdown.Timeout.Std()},
		{name: "origin", start: s.startOrigin, stop: func(ctx context.Context) error { return stopServices(ctx, s.origins...) }, within: s.cfg.HTTP.DrainTimeout.Std() + time.Second},
		{name: "mirror", stop: s.archive.settle, within: durableStop}, // from here on nothing is only in memory
		{name: "segmenter", start: s.startExpiry, stop: s.closeRecordings, within: quickStop},
		{name: "admission", start: s.startAdmission, stop: func(ctx context.Context) error { return s.admission.stop(ctx) }, within: quickStop},
		{name: "transcode", stop: s.rungs.Close, within: quickStop},
		{name: "ingest", start: s.startIngest, stop: func(ctx context.Context) error { return stopServices(ctx, s.ingests...) }, within: quickStop},
		{name: "readiness", start: func() error { s.ready.set(true); return nil }, stop: func(context.Context) error { s.ready.set(false); return nil }, within: quickStop},
	}
}

// serve starts a server on a listener; nil where there is none.
func (s *server) serve(name string, l net.Listener, fn func(context.Context, net.Listener) error) *service {
	if l == nil {
		return nil
	}
	return start(name, s.failed, func(ctx context.Context) error { return fn(ctx, l) })
}

func (s *server) startAdmin() error {
	s.admin = admin.New(adminOptions(s.cfg, s, s.log)) // it shows the ports that were had
	s.adminService = s.serve("admin", s.sockets.admin, s.admin.Serve)
	return nil
}

func (s *server) startArchive() error {
	s.archive.begin(s.failed)
	return nil
}

func (s *server) startOrigin() error {
	s.origins = []*service{
		s.serve("http", s.sockets.http, s.origin.Serve),
		s.serve("https", s.sockets.https, s.origin.ServeTLS),
	}
	return nil
}

func (s *server) startExpiry() error {
	s.expiry = start("expiry", s.failed, every(expireInterval, func(now time.Time) {
		s.registry.Expire(now)
		s.expireLog(now)
	}))
	return nil
}

// closeRecordings flushes the last segment of each, and ends them or leaves them open.
func (s *server) closeRecordings(ctx context.Context) error {
	err := s.expiry.stop(ctx)
	s.registry.Close(!s.hold)
	return err
}

func (s *server) startAdmission() error {
	s.admission = start("admission", s.failed, s.authorizer.Run)
	return nil
}

func (s *server) startIngest() error {
	s.ingests = []*service{
		s.serve("rtmp", s.sockets.rtmp, s.rtmp.Serve),
		s.serve("rtmps", s.sockets.rtmps, s.rtmp.Serve),
		s.serve("rtsp", s.sockets.rtsp, s.rtsp.Serve),
		s.serve("rtsps", s.sockets.rtsps, s.rtsp.ServeTLS),
	}
	return nil
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
