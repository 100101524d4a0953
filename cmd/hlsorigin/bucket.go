package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/dir"
	"github.com/hlsorigin/hlsorigin/storage/s3"
)

// bucket is an object store that the configuration names.
type bucket struct {
	storage.Store
	close func() error
}

// Unwrap implements storage.Unwrapper: what the store can do besides is not hidden.
func (b *bucket) Unwrap() storage.Store { return b.Store }

// openBucket opens a store without touching the network; nil where the configuration names none.
func openBucket(setting string, c configs.Bucket, log *slog.Logger) (*bucket, error) {
	at, err := c.Location()
	if err != nil {
		return nil, fmt.Errorf("%s.url: %w", setting, err)
	}
	switch {
	case at.Dir != "":
		l := &lazyDir{path: at.Dir}
		return &bucket{Store: l, close: l.close}, nil
	case at.Bucket != "":
		s, err := s3.Open(context.Background(), s3.Options{
			Bucket: at.Bucket, Prefix: strings.Trim(at.Prefix, "/"), Endpoint: string(c.Endpoint), Region: c.Region, PathStyle: c.PathStyle,
			AccessKey: string(c.AccessKey), SecretKey: string(c.SecretKey), StorageClass: c.StorageClass, Encryption: c.SSE,
			KMSKey: c.SSEKMSKeyID, ACL: c.ACL, Tags: c.Tags, Checksum: c.Checksum, Connections: c.Workers + viewerConnections,
			StallTimeout: time.Duration(c.NoProgressTimeout), Log: log.With("setting", setting), Now: time.Now,
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
		return &bucket{Store: s, close: func() error { return nil }}, nil
	}
	return nil, nil
}

// viewerConnections are kept open to the bucket for reading back, beside those of the uploads.
const viewerConnections = 8

// lazyDir is a directory that may not be there yet, such as one on a disk that is mounted later: every operation tries
// to open it until one succeeds.
type lazyDir struct {
	path string

	mu   sync.Mutex
	open *dir.Store
}

func (l *lazyDir) store() (*dir.Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		s, err := dir.Open(dir.Options{Path: l.path})
		if err != nil {
			return nil, err
		}
		l.open = s
	}
	return l.open, nil
}

func (l *lazyDir) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		return nil
	}
	return l.open.Close()
}

func (l *lazyDir) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) error {
	s, err := l.store()
	if err != nil {
		return err
	}
	return s.Put(ctx, key, body, a)
}

func (l *lazyDir) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	s, err := l.store()
	if err != nil {
		return nil, storage.Object{}, err
	}
	return s.Get(ctx, key, off, n)
}

func (l *lazyDir) Stat(ctx context.Context, key string) (storage.Object, error) {
	s, err := l.store()
	if err != nil {
		return storage.Object{}, err
	}
	return s.Stat(ctx, key)
}

func (l *lazyDir) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	s, err := l.store()
	if err != nil {
		return err
	}
	return s.List(ctx, prefix, fn)
}

func (l *lazyDir) Browse(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	s, err := l.store()
	if err != nil {
		return err
	}
	return s.Browse(ctx, prefix, fn)
}

func (l *lazyDir) Remove(ctx context.Context, keys ...string) error {
	s, err := l.store()
	if err != nil {
		return err
	}
	return s.Remove(ctx, keys...)
}
