package storage

import (
	"context"
	"io"
	"sync"
)

// Limit lets at most n requests run at once. A Get counts until its body is closed; List and Browse count while they walk, so fn must not
// wait for another request of the same Store.
func Limit(s Store, n int) Store { return &limit{s, make(chan struct{}, max(n, 1))} }

type limit struct {
	s    Store
	slot chan struct{}
}

func (l *limit) enter(ctx context.Context) error {
	select {
	case l.slot <- struct{}{}:
		return nil
	default:
	}
	select {
	case l.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *limit) leave() { <-l.slot }

func (l *limit) do(ctx context.Context, f func() error) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	return f()
}

// Unwrap implements Unwrapper.
func (l *limit) Unwrap() Store { return l.s }

func (l *limit) Put(ctx context.Context, key string, body io.ReadSeeker, a Attributes) (etag string, err error) {
	err = l.do(ctx, func() error {
		etag, err = l.s.Put(ctx, key, body, a)
		return err
	})
	return etag, err
}

func (l *limit) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Object, error) {
	if err := l.enter(ctx); err != nil {
		return nil, Object{}, err
	}
	body, o, err := l.s.Get(ctx, key, off, n)
	if err != nil {
		l.leave()
		return nil, o, err
	}
	return &closeBody{ReadCloser: body, closed: l.leave}, o, nil
}

// closeBody calls closed once, at the first Close.
type closeBody struct {
	io.ReadCloser
	once   sync.Once
	closed func()
}

func (b *closeBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.closed)
	return err
}

func (l *limit) Stat(ctx context.Context, key string) (o Object, err error) {
	err = l.do(ctx, func() error {
		o, err = l.s.Stat(ctx, key)
		return err
	})
	return o, err
}

func (l *limit) List(ctx context.Context, prefix string, fn func(Object) error) error {
	return l.do(ctx, func() error { return l.s.List(ctx, prefix, fn) })
}

func (l *limit) Browse(ctx context.Context, prefix string, fn func(Object) error) error {
	return l.do(ctx, func() error { return Browse(ctx, l.s, prefix, fn) })
}

func (l *limit) Remove(ctx context.Context, keys ...string) error {
	return l.do(ctx, func() error { return l.s.Remove(ctx, keys...) })
}
