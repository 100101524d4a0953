package storage

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// StoreStats counts what passes through Measure. All fields may be read at any time.
type StoreStats struct {
	Put, Get, Stat, List, Remove OpStats

	PutBytes atomic.Int64 // bytes of bodies that the store confirmed
	GetBytes atomic.Int64 // bytes of bodies read
}

// OpStats counts one kind of request. A List counts once, however many pages it has; a Get lasts until its body is closed.
type OpStats struct {
	Requests    atomic.Int64                  // begun
	InFlight    atomic.Int64                  // running now
	Nanoseconds atomic.Int64                  // total of all that have ended
	Failures    [NumFailureKinds]atomic.Int64 // by FailureKind; None is not counted
}

// Each calls fn for each kind of request, in a fixed order.
func (s *StoreStats) Each(fn func(op string, o *OpStats)) {
	fn("put", &s.Put)
	fn("get", &s.Get)
	fn("stat", &s.Stat)
	fn("list", &s.List)
	fn("remove", &s.Remove)
}

// EachFailure calls fn for each kind of failure, in a fixed order.
func (o *OpStats) EachFailure(fn func(k FailureKind, n int64)) {
	for k := None + 1; k < NumFailureKinds; k++ {
		fn(k, o.Failures[k].Load())
	}
}

func (o *OpStats) begin() (end func(error)) {
	start := time.Now()
	o.Requests.Add(1)
	o.InFlight.Add(1)
	return func(err error) {
		o.InFlight.Add(-1)
		o.Nanoseconds.Add(int64(time.Since(start)))
		if k := KindOf(err); k != None {
			o.Failures[k].Add(1)
		}
	}
}

// Measure counts a store's requests in stats. Put it under Retry to see every attempt, above it to see the outcome.
func Measure(s Store, stats *StoreStats) Store { return &measure{s, stats} }

type measure struct {
	s     Store
	stats *StoreStats
}

// Unwrap implements Unwrapper.
func (m *measure) Unwrap() Store { return m.s }

func (m *measure) Put(ctx context.Context, key string, body io.ReadSeeker, a Attributes) (string, error) {
	end := m.stats.Put.begin()
	etag, err := m.s.Put(ctx, key, body, a)
	end(err)
	if err == nil {
		if n, err := body.Seek(0, io.SeekEnd); err == nil {
			m.stats.PutBytes.Add(n)
		}
	}
	return etag, err
}

func (m *measure) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Object, error) {
	end := m.stats.Get.begin()
	body, o, err := m.s.Get(ctx, key, off, n)
	if err != nil {
		end(err)
		return nil, o, err
	}
	return &measureBody{ReadCloser: body, bytes: &m.stats.GetBytes, end: end}, o, nil
}

type measureBody struct {
	io.ReadCloser
	bytes *atomic.Int64
	err   error // the last of Read; shared by its one reader and Close
	once  sync.Once
	end   func(error)
}

func (b *measureBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

func (b *measureBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() { b.end(b.err) })
	return err
}

func (m *measure) Stat(ctx context.Context, key string) (Object, error) {
	end := m.stats.Stat.begin()
	o, err := m.s.Stat(ctx, key)
	end(err)
	return o, err
}

func (m *measure) List(ctx context.Context, prefix string, fn func(Object) error) error {
	end := m.stats.List.begin()
	err := m.s.List(ctx, prefix, fn)
	end(err)
	return err
}

func (m *measure) Browse(ctx context.Context, prefix string, fn func(Object) error) error {
	end := m.stats.List.begin()
	err := Browse(ctx, m.s, prefix, fn)
	end(err)
	return err
}

func (m *measure) Remove(ctx context.Context, keys ...string) error {
	end := m.stats.Remove.begin()
	err := m.s.Remove(ctx, keys...)
	end(err)
	return err
}
