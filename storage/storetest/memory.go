package storetest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Memory is a store in memory. The zero value is empty and ready to use.
type Memory struct {
	// Now dates objects; nil: a clock that advances one second with each Put, from 2023-08-24T16:00:00Z on.
	Now func() time.Time

	mu      sync.Mutex
	objects map[string]memoryObject
	puts    int
}

type memoryObject struct {
	storage.Object
	body []byte
}

var _ storage.Store = (*Memory)(nil)

// Put stores a copy.
func (m *Memory) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	data, err := io.ReadAll(body)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("put %s: %w", key, err)
	}
	sum := md5.Sum(data)
	etag := hex.EncodeToString(sum[:])
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.objects[key]; ok && a.IfAbsent {
		if bytes.Equal(old.body, data) {
			return old.ETag, nil
		}
		return "", fmt.Errorf("put %s: %w", key, storage.ErrExists)
	}
	if old, ok := m.objects[key]; a.IfMatch != "" && (!ok || old.ETag != a.IfMatch) {
		if ok && bytes.Equal(old.body, data) {
			return old.ETag, nil
		}
		return "", fmt.Errorf("put %s: %w", key, storage.ErrChanged)
	}
	if m.objects == nil {
		m.objects = make(map[string]memoryObject)
	}
	m.puts++
	now := time.Date(2023, 8, 24, 16, 0, m.puts, 0, time.UTC)
	if m.Now != nil {
		now = m.Now()
	}
	m.objects[key] = memoryObject{storage.Object{
		Key: key, Size: int64(len(data)), ETag: etag, Modified: now,
		ContentType: a.ContentType, CacheControl: a.CacheControl, ContentEncoding: a.ContentEncoding,
	}, data}
	return etag, nil
}

// Get reads what was there when it was called.
func (m *Memory) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	if off < 0 {
		return nil, storage.Object{}, fmt.Errorf("get %s: offset %d is negative", key, off)
	}
	o, err := m.find(ctx, key)
	if err != nil {
		return nil, o.Object, fmt.Errorf("get %s: %w", key, err)
	}
	data := o.body[min(off, o.Size):]
	if n >= 0 {
		data = data[:min(n, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), o.Object, nil
}

// Stat describes an object.
func (m *Memory) Stat(ctx context.Context, key string) (storage.Object, error) {
	o, err := m.find(ctx, key)
	if err != nil {
		err = fmt.Errorf("stat %s: %w", key, err)
	}
	return o.Object, err
}

func (m *Memory) find(ctx context.Context, key string) (memoryObject, error) {
	if ctx.Err() != nil {
		return memoryObject{}, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return o, fs.ErrNotExist
	}
	return o, nil
}

// List walks the keys as they were when it was called.
func (m *Memory) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	m.mu.Lock()
	objects := maps.Clone(m.objects)
	m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if ctx.Err() != nil {
			break
		}
		if strings.HasPrefix(key, prefix) {
			o := objects[key].Object
			o.ContentType, o.CacheControl, o.ContentEncoding = "", "", ""
			if err := fn(o); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

// Remove deletes keys.
func (m *Memory) Remove(ctx context.Context, keys ...string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.objects, key)
	}
	return nil
}
