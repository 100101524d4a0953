package readback_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/readback"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// turnstile counts the bodies that are open.
type turnstile struct {
	storage.Getter
	open, gets atomic.Int64
}

func (c *turnstile) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	r, o, err := c.Getter.Get(ctx, key, off, n)
	if err != nil {
		return r, o, err
	}
	c.open.Add(1)
	c.gets.Add(1)
	return &turned{ReadCloser: r, of: c}, o, nil
}

type turned struct {
	io.ReadCloser
	of *turnstile
}

func (t *turned) Close() error {
	t.of.open.Add(-1)
	return t.ReadCloser.Close()
}

// Viewers who read slowly hold no connection to the store, also where there is no memory for what they read.
func TestSlowReadersHoldNoRequest(t *testing.T) {
	const size, readers = 3 << 20, 64
	mem := &storetest.Memory{}
	whole := make([]byte, size)
	for i := range whole {
		whole[i] = byte(i * 7 >> 3)
	}
	if _, err := mem.Put(t.Context(), segmentKey(1), bytes.NewReader(whole), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	src := &turnstile{Getter: mem}
	cache := readback.New(src, readback.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	var all []*readback.Content
	for range readers {
		c, err := cache.Open(t.Context(), segmentKey(1))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all = append(all, c)
	}
	for step := range 3 {
		for i, c := range all {
			if _, err := c.Seek(int64(step*(1<<20)+i), io.SeekStart); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 1)
			if _, err := io.ReadFull(c, b); err != nil || b[0] != whole[step*(1<<20)+i] {
				t.Fatalf("step %d of reader %d: %v, %v", step, i, b, err)
			}
		}
		if n := src.open.Load(); n != 0 {
			t.Fatalf("%d requests are held by readers who wait", n)
		}
	}
	if _, err := all[0].Seek(5, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(all[0]); err != nil || !bytes.Equal(rest, whole[5:]) {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
}

// Who reads slowly past memory is let in as far as there is room for his piece, and no further.
func TestReadersPastMemoryHaveABound(t *testing.T) {
	const size, readers = 3 << 20, 64
	mem := &storetest.Memory{}
	if _, err := mem.Put(t.Context(), segmentKey(1), bytes.NewReader(make([]byte, size)), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	cache := readback.New(mem, readback.Options{MaxBytes: 1 << 20, MaxPassed: 2 << 20})
	defer cache.Close()
	var all []*readback.Content
	for range readers {
		c, err := cache.Open(t.Context(), segmentKey(1))
		if errors.Is(err, readback.ErrFull) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if n := int64(len(all)); n+cache.Stats.Full.Load() != readers || n < 16 || n > 32 {
		t.Errorf("%d are let in, %d are not", n, cache.Stats.Full.Load())
	}
	if n := cache.Stats.Lent.Load(); n > 2<<20 {
		t.Errorf("%d bytes are lent", n)
	}
	for _, c := range all {
		c.Close()
	}
	if n := cache.Stats.Lent.Load(); n != 0 {
		t.Errorf("%d bytes are still lent", n)
	}
	if c, err := cache.Open(t.Context(), segmentKey(1)); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

// Names that nobody stored push nothing out of memory, however many are asked for.
func TestMissingNamesCostLittle(t *testing.T) {
	mem := &storetest.Memory{}
	if _, err := mem.Put(t.Context(), segmentKey(1), bytes.NewReader(make([]byte, 100<<10)), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	cache := readback.New(mem, readback.Options{MaxBytes: 500 << 10, MaxMissing: 20})
	defer cache.Close()
	read := func(i int) error {
		c, err := cache.Open(t.Context(), segmentKey(i))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = io.Copy(io.Discard, c)
		return err
	}
	if err := read(1); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if err := read(1000 + i); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if n := cache.Stats.Bytes.Load(); n > 100<<10+22<<10 {
		t.Errorf("%d bytes in use", n)
	}
	fetches := cache.Stats.Fetches.Load()
	if err := read(1); err != nil || cache.Stats.Fetches.Load() != fetches {
		t.Errorf("what was there is read again, %v", err)
	}
}
