package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
)

// giveUpStart is how long part of a start that was interrupted may take to notice it. A disk that does not answer never does.
const giveUpStart = 3 * time.Second

// interrupted is the end of a start by a signal.
type interrupted struct{ signal os.Signal }

func (e interrupted) Error() string { return fmt.Sprintf("stopped by a signal while starting: %v", e.signal) }

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
		return none, fmt.Errorf("%v; something that it waits for does not answer, a disk perhaps, and is left behind", interrupted{sig})
	}
}

// stoppedInOrder is the error of a start: nil where it gave up in order because it was told to.
func stoppedInOrder(err error, log *slog.Logger) error {
	var by interrupted
	if !errors.As(err, &by) {
		return err
	}
	log.Info("stopped while starting; what lies in the spool is as it was", "signal", by.signal.String())
	return nil
}

// openServer makes a server whose listeners are open and whose recordings are taken up, or leaves nothing behind.
func openServer(ctx context.Context, cfg configs.Config, log *slog.Logger) (*server, error) {
	s, err := newServer(cfg, log)
	if err != nil {
		return nil, err
	}
	if err = s.open(ctx); err == nil && ctx.Err() != nil {
		s.sockets.close()
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.archive.close())
	}
	return s, nil
}
