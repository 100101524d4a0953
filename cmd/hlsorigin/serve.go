package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/systemd"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/watch"
	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/admin"
)

// serveFlags are the flags of a server.
func serveFlags(env environment) (f *flag.FlagSet, config *string, demo *bool) {
	f = flags("hlsorigin")
	return f, configFlag(f, env), f.Bool("demo", false, "")
}

// served reports whether a command line, without the program, is that of a server, and the file that it names.
func served(args []string) (config string, ok bool) {
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		return "", false
	}
	f, path, _ := serveFlags(environment{})
	err := f.Parse(args)
	return *path, err == nil
}

// serveCommand runs the server until a signal ends it.
func serveCommand(args []string, env environment) error {
	f, path, demo := serveFlags(env)
	if err := parse(f, args); err != nil {
		return err
	}
	if env.reload != nil && !*demo {
		notifyReload(env.reload) // from the first moment: one that comes while the file is read is a reload after it
	}
	from := reloadSource{load: func() (configs.Config, error) { return configs.Load(*path, env.vars) }, hup: env.reload}
	cfg, err := interruptible(env.signals, func(context.Context) (configs.Config, error) {
		from.watch = watch.New(*path, os.Stat)
		return from.load()
	})
	if err != nil {
		return unlessStopped(err, slog.New(slog.DiscardHandler))
	}
	log, logs := newLog(cfg.Log, env)
	from.logs = logs
	slog.SetDefault(log.With("part", "library")) // where the standard library has something to say, it does so here
	for _, e := range configs.Unknown(cfg, env.vars) {
		log.Warn("a variable in the environment begins as settings do and is none: correct or remove it", "variable", e.Env, "reason", e.Text)
	}
	if *demo {
		return runDemo(cfg, env)
	}
	manager, err := systemd.FromEnvironment(env.vars)
	if err != nil {
		return err
	}
	s, err := interruptible(env.signals, func(ctx context.Context) (*server, error) { return begun(ctx, cfg, log, from, manager, admin.Demo{}) })
	if err != nil {
		return unlessStopped(err, log)
	}
	s.greet()
	if env.started != nil {
		env.started(s.sockets.addresses())
	}
	return s.wait(env.signals, env.retry)
}

// giveUpStart is how long part of a start that was interrupted may take to notice it. A disk that does not answer never does.
const giveUpStart = 10 * time.Second

// interrupted is the end of a start by a signal.
type interrupted struct{ signal os.Signal }

func (e interrupted) Error() string {
	return fmt.Sprintf("stopped by a signal while starting: %v", e.signal)
}

// interruptible runs part of a start. The first signal ends its context, and then the error is interrupted. What takes no notice of that
// is left behind after giveUpStart, or at a second signal: the process ends without it.
func interruptible[T any](signals <-chan os.Signal, part func(context.Context) (T, error)) (T, error) {
	type outcome struct {
		made T
		err  error
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	done := make(chan outcome, 1)
	go func() {
		made, err := part(ctx)
		done <- outcome{made, err}
	}()
	var none T
	select {
	case o := <-done:
		return o.made, o.err
	case sig := <-signals:
		cancel(interrupted{sig})
		patience := time.NewTimer(giveUpStart)
		defer patience.Stop()
		select {
		case <-done:
			return none, interrupted{sig}
		case <-signals:
		case <-patience.C:
		}
		return none, fmt.Errorf("stopped by a signal while starting: %v; something that it waits for, a disk perhaps, does not answer", sig)
	}
}

// unlessStopped is the error of a start; nil where it gave up, in order, because it was told to.
func unlessStopped(err error, log *slog.Logger) error {
	var by interrupted
	if !errors.As(err, &by) {
		return err
	}
	log.Info("stopped while starting; what lies in the spool goes on at the next start", "signal", by.signal.String())
	return nil
}

// begun is a server that runs.
func begun(ctx context.Context, cfg configs.Config, log *slog.Logger, from reloadSource, manager systemd.Manager, demo admin.Demo) (*server, error) {
	s, err := newServer(cfg, log)
	if err == nil {
		s.reloads.from, s.manager, s.demo = from, manager, demo
		err = s.begin(ctx)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// begin starts every part, or none: also where ctx ends meanwhile.
func (s *server) begin(ctx context.Context) error {
	err := s.parts(ctx).Start(s.log)
	if err == nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), s.end(true, nil))
	}
	return err
}

// end stops every part. With hold, recordings are left open for the next start; else each of them ends. A second signal on
// hurry cuts the uploads short.
func (s *server) end(hold bool, hurry <-chan os.Signal) error {
	s.hold, s.hurry = hold, hurry
	return s.parts(context.Background()).Stop(s.log)
}

// wait runs until a signal or a failure, and stops the server. What comes on retry tries at once what waits for a bucket.
func (s *server) wait(signals, retry <-chan os.Signal) error {
	for {
		select {
		case <-retry:
			s.log.Info("uploads and webhooks that wait are tried now", "signal", "SIGUSR1")
			s.retry()
		case sig := <-signals:
			hold := sig == syscall.SIGTERM && s.config().Shutdown.Hold
			if sig == syscall.SIGTERM && s.cluster.On() {
				s.drain(signals)
			}
			s.log.Info("stopping", "signal", sig.String(), "recordings", map[bool]string{true: "held over for the next start", false: "end"}[hold])
			return s.end(hold, signals)
		case err := <-s.failed:
			s.log.Error("a part failed, the server stops", "error", err)
			return errors.Join(err, s.end(true, signals))
		}
	}
}

// drainInterval is how often it is looked whether all publishers have gone.
const drainInterval = 50 * time.Millisecond

// drain keeps publishers while balancers turn to other servers, and then sends them away, so that they find the others: those go on with
// the recordings. Another signal cuts it short.
func (s *server) drain(hurry <-chan os.Signal) {
	keep := s.config().Cluster.Drain.Std()
	s.cluster.Drain(keep)
	if s.cluster.Publishers() == 0 {
		return
	}
	s.log.Info("draining before the stop: publishers are kept so long, and sent to other servers then", "publishers", s.cluster.Publishers(), "keep", keep.String())
	gone := time.NewTimer(keep + quickStop)
	defer gone.Stop()
	look := time.NewTicker(drainInterval)
	defer look.Stop()
	for s.cluster.Publishers() > 0 {
		select {
		case <-hurry:
			return
		case <-gone.C:
			return
		case <-look.C:
		}
	}
}

// retry tries at once what waits for a bucket or a webhook.
func (s *server) retry() {
	s.archive.mirror.Retry()
	s.hooks.Retry()
}

// greet says where to publish and watch, and who may.
func (s *server) greet() {
	a := s.sockets.addresses()
	for _, l := range []struct {
		what string
		at   net.Addr
	}{{"HLS", a.http}, {"HLS over TLS", a.https}, {"RTMP", a.rtmp}, {"RTMPS", a.rtmps}, {"RTSP", a.rtsp}, {"RTSPS", a.rtsps}, {"HLS by PUT", a.put}, {"HLS by PUT over TLS", a.puts}, {"admin", a.admin}, {"other servers", a.cluster}} {
		if l.at != nil {
			s.log.Info("listening", "for", l.what, "on", l.at.String())
		}
	}
	for name, app := range s.cfg.Apps {
		greetApp(s.log, name, app)
	}
	s.log.Info("archive", "bucket", s.cfg.Storage.URL, "spool", s.cfg.Spool.Dir)
}
