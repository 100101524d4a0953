package dir

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Lazy is a Store whose directory may not exist yet, such as one on a disk that is mounted later: every operation tries to open it, until
// one succeeds. It is safe for concurrent use.
type Lazy struct {
	o Options

	mu   sync.Mutex
	open *Store
}

var (
	_ storage.Store      = (*Lazy)(nil)
	_ storage.Browser    = (*Lazy)(nil)
	_ storage.Timekeeper = (*Lazy)(nil)
)

// NewLazy returns a Lazy, and touches nothing. Close closes it.
func NewLazy(o Options) *Lazy { return &Lazy{o: o} }

func (l *Lazy) store() (*Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		s, err := Open(l.o)
		if err != nil {
			return nil, err
		}
		l.open = s
	}
	return l.open, nil
}

// Close closes the directory, if it was opened.
func (l *Lazy) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		return nil
	}
	return l.open.Close()
}

// Time returns the directory's clock, like Store.Time.
func (l *Lazy) Time(ctx context.Context) (time.Time, error) {
	s, err := l.store()
	if err != nil {
		return time.Time{}, err
	}
	return s.Time(ctx)
}

// Put stores an object, like Store.Put.
func (l *Lazy) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (etag string, err error) {
	s, err := l.store()
	if err != nil {
		return "", err
	}
	return s.Put(ctx, key, body, a)
}

// Get opens an object, like Store.Get.
func (l *Lazy) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	s, err := l.store()
	if err != nil {
		return nil, storage.Object{}, err
	}
	return s.Get(ctx, key, off, n)
}

// Stat describes an object, like Store.Stat.
func (l *Lazy) Stat(ctx context.Context, key string) (storage.Object, error) {
	s, err := l.store()
	if err != nil {
		return storage.Object{}, err
	}
	return s.Stat(ctx, key)
}

// List lists all objects under a prefix, like Store.List.
func (l *Lazy) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	s, err := l.store()
	if err != nil {
		return err
	}
	return s.List(ctx, prefix, fn)
}

// Browse lists what is directly under a prefix, like Store.Browse.
func (l *Lazy) Browse(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	s, err := l.store()
	if err != nil {
		return err
	}
	return s.Browse(ctx, prefix, fn)
}

// Remove removes objects, like Store.Remove.
func (l *Lazy) Remove(ctx context.Context, keys ...string) error {
	s, err := l.store()
	if err != nil {
		return err
	}
	return s.Remove(ctx, keys...)
}
