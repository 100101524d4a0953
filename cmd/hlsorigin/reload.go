package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/control"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/watch"
	"github.com/hlsorigin/hlsorigin/configs"
)

// Report is what a reload did.
type Report struct {
	Changes []configs.Change // settings that are not what they were; empty: nothing has changed
	Waiting []string         // the names of those among them that count at the next start
	Ended   int              // publishers whose right was taken away
}

// reloadSource is where other settings come from.
type reloadSource struct {
	load  func() (configs.Config, error) // nil: there is nothing to load
	watch *watch.Watch
	hup   <-chan os.Signal
	logs  *logSettings
}

// reloads is how settings are exchanged while the server runs.
type reloads struct {
	from reloadSource

	mu sync.Mutex // one reload at a time

	// For metrics.
	failed  atomic.Bool  // the last one
	at      atomic.Int64 // when the last one succeeded, or the start; Unix seconds
	good    atomic.Int64 // how many
	bad     atomic.Int64
	waiting atomic.Int64 // settings that count at the next start
}

const (
	// watchInterval is how often files are looked at. They are read when they have stayed the same from one look to the next.
	watchInterval = 2 * time.Second
	// reloadTimeout bounds what a reload waits for: public keys, and back ends that are asked about those on the air.
	reloadTimeout = 15 * time.Second
)

// runReloads reloads on a signal, and when a file has changed, until ctx is done.
func (s *server) runReloads(ctx context.Context) error {
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.reloads.from.hup:
		case <-t.C:
			if !s.filesChanged() {
				continue
			}
		}
		_, _ = s.Reload(ctx) // which has said how it went
	}
}

func (s *server) filesChanged() bool {
	s.reloads.mu.Lock()
	defer s.reloads.mu.Unlock()
	return s.reloads.from.watch.Changed(s.files())
}

// files are those that a reload reads.
func (s *server) files() []string {
	return append(certificateFiles(s.config()), s.reloads.from.watch.Config()...)
}

// Reload reads the configuration again and puts in force what has changed, but for the settings that count at the next start.
// Everything is built first. Where something cannot be, nothing has changed, and the error says where and why.
func (s *server) Reload(ctx context.Context) (Report, error) {
	s.reloads.mu.Lock()
	defer s.reloads.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	report, err := s.reload(ctx)
	s.reloads.failed.Store(err != nil)
	if err != nil {
		s.reloads.bad.Add(1)
		s.log.Error("the configuration was not reloaded, all stays as it was: correct it", "error", strings.ReplaceAll(err.Error(), "\n", "; "))
		return report, err
	}
	s.reloads.good.Add(1)
	s.reloads.at.Store(time.Now().Unix())
	s.reloads.waiting.Store(int64(len(report.Waiting)))
	var changed []string
	for _, c := range report.Changes {
		changed = append(changed, c.Name)
	}
	args := []any{"changed", strings.Join(changed, ", ")}
	if report.Ended > 0 {
		args = append(args, "publishers_ended", report.Ended)
	}
	if len(report.Waiting) == 0 {
		s.log.Info("configuration reloaded", args...)
	} else {
		s.log.Warn("configuration reloaded, but some settings count at the next start: restart the server for them", append(args, "waiting", strings.Join(report.Waiting, ", "))...)
	}
	return report, nil
}

func (s *server) reload(ctx context.Context) (Report, error) {
	if s.reloads.from.load == nil {
		return Report{}, errors.New("this server was not started with a configuration")
	}
	s.reloads.from.watch.Look(s.files()) // before they are read: what changes meanwhile is another change
	wanted, err := s.reloads.from.load()
	if err != nil {
		return Report{}, err
	}
	u := s.config().UpdateTo(wanted)
	commit, err := s.parts(ctx).Prepare(ctx, &u)
	if err != nil {
		return Report{}, err
	}
	if err := ctx.Err(); err != nil {
		return Report{}, fmt.Errorf("not prepared in time: %w", err)
	}
	commit()
	s.setConfig(u.Config)
	s.greetApps(u.Changes)
	return Report{Changes: u.Changes, Waiting: u.Waiting(), Ended: s.rights.Review(ctx)}, nil
}

// greetApps says who may publish to the apps of which that may have changed.
func (s *server) greetApps(changes []configs.Change) {
	said := map[string]bool{}
	cfg := s.config()
	for _, c := range changes {
		at := strings.SplitN(c.Name, ".", 4)
		if len(at) < 2 || at[0] != "apps" || said[at[1]] || len(at) > 2 && at[2] != "keys" && at[2] != "publish" && at[2] != "auth" {
			continue
		}
		said[at[1]] = true
		if app, ok := cfg.Apps[at[1]]; ok {
			greetApp(s.log, at[1], app)
		}
	}
}

// config is the configuration in force.
func (s *server) config() configs.Config {
	s.cfgMu.Lock()
	defer s.cfgMu.Unlock()
	return s.cfg
}

func (s *server) setConfig(c configs.Config) {
	s.cfgMu.Lock()
	defer s.cfgMu.Unlock()
	s.cfg = c
}

func (s *server) reloadMetrics(m meters) {
	r := &s.reloads
	m.gauge("config_last_reload_successful", "1 where the last reload of the configuration succeeded, or there was none; 0 where it was refused: the log says why.", nil, func() float64 {
		if r.failed.Load() {
			return 0
		}
		return 1
	})
	m.gauge("config_last_reload_success_timestamp_seconds", "When the configuration in force was loaded.", nil, of(&r.at))
	m.gauge("config_waiting_settings", "Settings that were changed and count at the next start.", nil, of(&r.waiting))
	m.counter("config_reloads_total", "Reloads of the configuration, by how they ended.", map[string]string{"result": "done"}, of(&r.good))
	m.counter("config_reloads_total", "Reloads of the configuration, by how they ended.", map[string]string{"result": "refused"}, of(&r.bad))
}

// What the parts do with new settings. Those that have a fallible half build it here; for the others there is only what puts the
// settings in force.

func (s *server) prepareLog(_ context.Context, u *configs.Update) (commit func(), err error) {
	return func() { s.reloads.from.logs.set(u.Config.Log) }, nil
}

func (s *server) prepareAdmin(_ context.Context, u *configs.Update) (commit func(), err error) {
	tokens, err := s.api.Prepare(control.Tokens(u.Config))
	return func() {
		tokens()
		s.series.SetMax(u.Config.Metrics.MaxStreams)
	}, err
}

func (a *archive) prepare(_ context.Context, u *configs.Update) (commit func(), err error) {
	return func() {
		for _, r := range a.retention {
			r.SetKeep(keeps(u.Config))
		}
	}, nil
}

func (s *server) prepareCluster(_ context.Context, u *configs.Update) (commit func(), err error) {
	return func() { s.cluster.SetSecret(string(u.Config.Cluster.Secret)) }, nil
}

func (s *server) prepareOrigin(_ context.Context, u *configs.Update) (commit func(), err error) {
	rules := s.originRules(u.Config) // without a certificate, where the next start has no such listener: then the old one stays
	return func() { s.origin.Reconfigure(rules) }, nil
}

func (s *server) prepareSegmenter(_ context.Context, u *configs.Update) (commit func(), err error) {
	return func() {
		s.registry.Reconfigure(appOptions(u.Config))
		s.registry.SetConfirmed(confirmed(u.Config))
		s.registry.SetMaxStreams(maxStreams(u.Config))
	}, nil
}

func (s *server) prepareAdmission(ctx context.Context, u *configs.Update) (commit func(), err error) {
	return s.authorizer.Prepare(ctx, publishers(u.Config))
}

func (s *server) prepareHooks(ctx context.Context, u *configs.Update) (commit func(), err error) {
	return s.hooks.Prepare(ctx, u.Config)
}

func (s *server) prepareJobs(_ context.Context, u *configs.Update) (commit func(), err error) {
	return func() {
		if s.jobs != nil {
			s.jobs.Reconfigure(u.Config)
		}
	}, nil
}

func (s *server) prepareTranscode(_ context.Context, u *configs.Update) (commit func(), err error) {
	return func() { s.rungs.SetApps(transcodeApps(u.Config)) }, nil
}
