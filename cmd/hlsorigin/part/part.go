// Package part provides what a server consists of: parts that start in the order of a list, stop in its reverse, each within a bound, and
// take new settings all together or not at all; and services, which are background loops with an owner. It refuses to know what any of them
// does.
package part

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
)

// Part is a piece of the server with its own life cycle. Unused fields are nil.
type Part struct {
	Name string
	// Start starts the part and does not wait for its work.
	Start func() error
	// Stop stops the part and waits until it has ended. It gives up when ctx is done, which is after Within.
	Stop   func(ctx context.Context) error
	Within time.Duration
	// Prepare builds what new settings need, and changes nothing that is in force. commit puts it in force and cannot fail; nil: the part
	// has nothing to change.
	Prepare func(ctx context.Context, u *configs.Update) (commit func(), err error)
}

// List is a list of parts, each after those it needs.
type List []Part

// Start starts all parts in order. If one fails, it stops those before it.
func (l List) Start(log *slog.Logger) error {
	for i, p := range l {
		if p.Start == nil {
			continue
		}
		if err := p.Start(); err != nil {
			return errors.Join(err, l[:i].Stop(log))
		}
	}
	return nil
}

// Stop stops all parts in reverse order, each within its bound, and joins their errors.
func (l List) Stop(log *slog.Logger) error {
	var all error
	for i := len(l) - 1; i >= 0; i-- {
		p := &l[i]
		if p.Stop == nil {
			continue
		}
		began := time.Now()
		if err := p.stopWithin(); err != nil {
			all = errors.Join(all, fmt.Errorf("stopping %s: %w", p.Name, err))
		}
		log.Debug("stopped", "step", p.Name, "took", time.Since(began))
	}
	return all
}

func (p *Part) stopWithin() error {
	ctx, cancel := context.WithTimeout(context.Background(), p.Within)
	defer cancel()
	return p.Stop(ctx)
}

// Prepare prepares all parts in order, and returns a function that puts all of it in force. If a part refuses, nothing has changed.
func (l List) Prepare(ctx context.Context, u *configs.Update) (commit func(), err error) {
	var commits []func()
	for _, p := range l {
		if p.Prepare == nil {
			continue
		}
		commit, err := p.Prepare(ctx, u)
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
