package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
)

// part is a piece of the server with a life of its own. What it has no use for is nil.
type part struct {
	name string
	// start begins the work of the part and does not wait for it.
	start func() error
	// stop ends the work, waits until it has ended, and gives up when ctx is done, which is after within.
	stop   func(ctx context.Context) error
	within time.Duration
	// prepare builds what new settings need, and changes nothing that is in force. commit puts it in force and cannot fail;
	// nil: the part has nothing to change.
	prepare func(ctx context.Context, next configs.Config) (commit func(), err error)
}

// startAll starts parts in their order. Where one fails, those before it are stopped again.
func startAll(parts []part, log *slog.Logger) error {
	for i, p := range parts {
		if p.start == nil {
			continue
		}
		if err := p.start(); err != nil {
			return errors.Join(err, stopAll(parts[:i], log))
		}
	}
	return nil
}

// stopAll stops parts in the reverse of their order, each within its bound, and joins their errors.
func stopAll(parts []part, log *slog.Logger) error {
	var all error
	for i := len(parts) - 1; i >= 0; i-- {
		p := &parts[i]
		if p.stop == nil {
			continue
		}
		began := time.Now()
		if err := p.stopWithin(); err != nil {
			all = errors.Join(all, fmt.Errorf("stopping %s: %w", p.name, err))
		}
		log.Debug("stopped", "step", p.name, "took", time.Since(began))
	}
	return all
}

func (p *part) stopWithin() error {
	ctx, cancel := context.WithTimeout(context.Background(), p.within)
	defer cancel()
	return p.stop(ctx)
}

// prepareAll prepares parts in their order, and returns what puts all of it in force. The first that refuses ends it, and
// nothing has changed.
func prepareAll(ctx context.Context, parts []part, next configs.Config) (commit func(), err error) {
	var commits []func()
	for _, p := range parts {
		if p.prepare == nil {
			continue
		}
		commit, err := p.prepare(ctx, next)
		if err != nil {
			return nil, err
		}
		if commit != nil {
			commits = append(commits, commit)
		}
	}
	return func() {
		for _, commit := range commits {
			commit()
		}
	}, nil
}
