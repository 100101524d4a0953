package part

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Service is a background loop with an owner: started once, stopped once, waited for.
type Service struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of the loop; read it after done
}

// Run runs a loop. If it ends before it was told to, it reports itself on failed.
func Run(name string, failed chan<- error, run func(context.Context) error) *Service {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Service{name: name, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = run(ctx)
		if ctx.Err() != nil {
			return
		}
		err := s.err
		if err == nil {
			err = errors.New("ended by itself")
		}
		select {
		case failed <- fmt.Errorf("%s: %w", name, err):
		default: // another was first
		}
	}()
	return s
}

// Stop stops the loop and waits for it, at most until ctx is done.
func (s *Service) Stop(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.cancel()
	select {
	case <-s.done:
		if s.err != nil && !errors.Is(s.err, context.Canceled) {
			return fmt.Errorf("%s: %w", s.name, s.err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s did not end in time", s.name)
	}
}

// StopAll stops services concurrently.
func StopAll(ctx context.Context, services ...*Service) error {
	errs := make(chan error, len(services))
	for _, s := range services {
		go func() { errs <- s.Stop(ctx) }()
	}
	var all error
	for range services {
		all = errors.Join(all, <-errs)
	}
	return all
}

// Every calls fn at an interval until ctx is done.
func Every(d time.Duration, fn func(now time.Time)) func(context.Context) error {
	return func(ctx context.Context) error {
		t := time.NewTicker(d)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case now := <-t.C:
				fn(now)
			}
		}
	}
}
