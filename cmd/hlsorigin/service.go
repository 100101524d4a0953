package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// service is a loop in the background with an owner: started once, stopped once, waited for.
type service struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of the loop; read it after done
}

// start runs a loop. One that ends before it was told to reports itself on failed.
func start(name string, failed chan<- error, run func(context.Context) error) *service {
	ctx, cancel := context.WithCancel(context.Background())
	s := &service{name: name, cancel: cancel, done: make(chan struct{})}
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

// stop ends the loop and waits for it, at most until ctx is done.
func (s *service) stop(ctx context.Context) error {
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

// stopServices stops services side by side.
func stopServices(ctx context.Context, services ...*service) error {
	errs := make(chan error, len(services))
	for _, s := range services {
		go func() { errs <- s.stop(ctx) }()
	}
	var all error
	for range services {
		all = errors.Join(all, <-errs)
	}
	return all
}

// every calls fn at an interval until ctx is done.
func every(d time.Duration, fn func(now time.Time)) func(context.Context) error {
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
