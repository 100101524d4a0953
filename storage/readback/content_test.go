package readback_test

import (
	"bytes"
	"context"
	"io"
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
	if err := mem.Put(t.Context(), segmentKey(1), bytes.NewReader(whole), storage.Attributes{}); err != nil {
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
