package storage

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// RetryOptions set the pace of Retry.
type RetryOptions struct {
	First    time.Duration // pause after the first failure; default 200ms
	Most     time.Duration // pauses double up to this; default 10s
	Attempts int           // give up after this many; 0: only when the context ends
	// OnRetry is called for each failure that is followed by another attempt; it may be nil.
	OnRetry func(op, key string, attempt int, err error)
}

// Backoff returns the pause after the n-th failure in a row, counted from 1: it doubles from First to Most, and up to half of it is
// randomly removed, so that many clients of one store do not return at the same moment.
func (o RetryOptions) Backoff(n int) time.Duration {
	first, most := o.First, o.Most
	if first <= 0 {
		first = 200 * time.Millisecond
	}
	if most <= 0 {
		most = 10 * time.Second
	}
	d := min(first, most)
	for range n - 1 {
		if d >= most/2 {
			d = most
			break
		}
		d *= 2
	}
	return d - rand.N(d/2+1)
}

// Retry repeats what failed for transient reasons, or was throttled, until it succeeds or its context ends. All other failures are returned
// at once. A body that breaks off is continued where it broke, unless the object has changed meanwhile. Retry is for readers and tools; the
// uploader has its own policy.
func Retry(s Store, o RetryOptions) Store { return &retry{s, o} }

type retry struct {
	s Store
	o RetryOptions
}

func (r *retry) do(ctx context.Context, op, key string, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil {
			return nil
		}
		if again := r.pause(ctx, op, key, n, err); again != nil {
			return again
		}
	}
}

// pause waits before the next attempt; an error means that there must be none.
func (r *retry) pause(ctx context.Context, op, key string, n int, err error) error {
	switch KindOf(err) {
	case Transient, Throttled:
	case Cancelled:
		if ctx.Err() != nil {
			return err // the caller's own
		}
	default:
		return err
	}
	if r.o.Attempts > 0 && n >= r.o.Attempts {
		return fmt.Errorf("given up after %d attempts: %w", n, err)
	}
	if r.o.OnRetry != nil {
		r.o.OnRetry(op, key, n, err)
	}
	t := time.NewTimer(r.o.Backoff(n))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w after %d attempts, the last: %w", context.Cause(ctx), n, err)
	}
}

// Unwrap implements Unwrapper.
func (r *retry) Unwrap() Store { return r.s }

func (r *retry) Put(ctx context.Context, key string, body io.ReadSeeker, a Attributes) (etag string, err error) {
	err = r.do(ctx, "put", key, func() error {
		etag, err = r.s.Put(ctx, key, body, a)
		return err
	})
	return etag, err
}

func (r *retry) Stat(ctx context.Context, key string) (o Object, err error) {
	err = r.do(ctx, "stat", key, func() error {
		o, err = r.s.Stat(ctx, key)
		return err
	})
	return o, err
}

// List continues after the last key that fn has seen.
func (r *retry) List(ctx context.Context, prefix string, fn func(Object) error) error {
	return r.walk(ctx, prefix, fn, r.s.List)
}

func (r *retry) Browse(ctx context.Context, prefix string, fn func(Object) error) error {
	return r.walk(ctx, prefix, fn, func(ctx context.Context, prefix string, fn func(Object) error) error {
		return Browse(ctx, r.s, prefix, fn)
	})
}

func (r *retry) walk(ctx context.Context, prefix string, fn func(Object) error, list func(context.Context, string, func(Object) error) error) error {
	last, seen, sorted := "", false, true
	var stop error // fn's own
	err := r.do(ctx, "list", prefix, func() error {
		resumed := seen
		err := list(ctx, prefix, func(o Object) error {
			if resumed && o.Key <= last {
				return nil
			}
			resumed = false
			sorted = sorted && (!seen || o.Key > last)
			last, seen = o.Key, true
			stop = fn(o)
			return stop
		})
		if stop != nil {
			return nil
		}
		if err != nil && !sorted { // without order it is unknown where to continue
			return fmt.Errorf("%w: list %s: it broke off, and the store does not sort: %w", ErrPermanent, prefix, err)
		}
		return err
	})
	if stop != nil {
		return stop
	}
	return err
}

func (r *retry) Remove(ctx context.Context, keys ...string) error {
	return r.do(ctx, "remove", fmt.Sprintf("%d keys", len(keys)), func() error { return r.s.Remove(ctx, keys...) })
}

func (r *retry) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Object, error) {
	b := &retryBody{r: r, ctx: ctx, key: key, off: off, n: n}
	err := r.do(ctx, "get", key, b.open)
	if err != nil {
		return nil, Object{}, err
	}
	return b, b.object, nil
}

type retryBody struct {
	r       *retry
	ctx     context.Context
	key     string
	off, n  int64 // still to be read
	body    io.ReadCloser
	object  Object
	opened  bool
	failing int // failures since a byte came
}

func (b *retryBody) open() error {
	body, o, err := b.r.s.Get(b.ctx, b.key, b.off, b.n)
	if err != nil {
		return err
	}
	if b.opened && (o.ETag != b.object.ETag || o.Size != b.object.Size) {
		body.Close()
		return fmt.Errorf("get %s: the object was replaced while it was read: %w", b.key, ErrPermanent)
	}
	b.body, b.object, b.opened = body, o, true
	return nil
}

func (b *retryBody) Read(p []byte) (int, error) {
	for {
		if b.body == nil {
			if err := b.open(); err != nil {
				if err := b.fail(err); err != nil {
					return 0, err
				}
				continue
			}
		}
		n, err := b.body.Read(p)
		b.off += int64(n)
		if b.n > 0 {
			b.n -= int64(n)
		}
		if n > 0 {
			b.failing = 0
		}
		if err == io.EOF && b.n != 0 && b.off < b.object.Size {
			err = io.ErrUnexpectedEOF
		}
		if err == nil || err == io.EOF {
			return n, err
		}
		b.body.Close()
		b.body = nil
		if n > 0 {
			return n, nil // the next Read will see the failure
		}
		if err := b.fail(err); err != nil {
			return 0, err
		}
	}
}

func (b *retryBody) fail(err error) error {
	b.failing++
	return b.r.pause(b.ctx, "get", b.key, b.failing, err)
}

func (b *retryBody) Close() error {
	if b.body == nil {
		return nil
	}
	return b.body.Close()
}
