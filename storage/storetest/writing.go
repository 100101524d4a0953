package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
)

func testOverwrite(t *testing.T, s storage.Store) {
	put(t, s, "o.m3u8", bytes.Repeat([]byte("old"), 1000), playlistAttributes)
	before, err := s.Stat(t.Context(), "o.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "o.m3u8", []byte("new"), playlistAttributes)
	if got := Read(t, s, "o.m3u8", 0, -1); string(got) != "new" {
		t.Errorf("read %q", got)
	}
	if after, err := s.Stat(t.Context(), "o.m3u8"); err != nil || after.ETag == before.ETag && after.ETag != "" {
		t.Errorf("the ETag is the same: %v", err)
	}
}

func testRemove(t *testing.T, s storage.Store) {
	for _, key := range []string{"a/1", "a/2", "b/1", "c"} {
		put(t, s, key, []byte("x"), playlistAttributes)
	}
	if err := s.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	for _, keys := range [][]string{{"a/1"}, {"a/1", "none", "b/1"}, {"b/none"}} {
		if err := s.Remove(t.Context(), keys...); err != nil {
			t.Errorf("remove %q: %v", keys, err)
		}
	}
	if got := Keys(t, s, ""); !slices.Equal(got, []string{"a/2", "c"}) {
		t.Errorf("left %q", got)
	}
	put(t, s, "a/1", []byte("y"), storage.Attributes{IfAbsent: true})
}

func testCancelled(t *testing.T, s storage.Store) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(cancelled, "c/1", strings.NewReader("x"), storage.Attributes{}); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Stat(cancelled, "c/1"); !errors.Is(err, context.Canceled) {
		t.Errorf("stat: %v", err)
	}
	if err := s.List(cancelled, "", func(storage.Object) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
	if err := s.Remove(cancelled, "c/1"); !errors.Is(err, context.Canceled) {
		t.Errorf("remove: %v", err)
	}
	// In the middle of a body.
	during, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := &hookReader{ReadSeeker: bytes.NewReader(Random(6, 8<<20)), at: 1 << 20, hook: func() error { cancel(); return nil }}
	if _, err := s.Put(during, "c/1", body, storage.Attributes{}); !errors.Is(err, context.Canceled) {
		t.Errorf("put cancelled halfway: %v", err)
	}
	if got := Keys(t, s, ""); got != nil {
		t.Errorf("visible: %q", got)
	}
}

func testBrokenBody(t *testing.T, s storage.Store) {
	broken := errors.New("disk gone")
	body := &hookReader{ReadSeeker: bytes.NewReader(Random(7, 4<<20)), at: 1 << 20, hook: func() error { return broken }}
	if _, err := s.Put(t.Context(), "b/1", body, storage.Attributes{}); !errors.Is(err, broken) {
		t.Errorf("put: %v", err)
	}
	if got := Keys(t, s, ""); got != nil {
		t.Errorf("visible: %q", got)
	}
}

// hookReader calls hook each time reading passes the offset at.
type hookReader struct {
	io.ReadSeeker
	at, pos int64
	hook    func() error
}

func (r *hookReader) Read(p []byte) (int, error) {
	if r.pos >= r.at {
		if err := r.hook(); err != nil {
			return 0, err
		}
	}
	n, err := r.ReadSeeker.Read(p)
	r.pos += int64(n)
	return n, err
}

func (r *hookReader) Seek(off int64, whence int) (int64, error) {
	pos, err := r.ReadSeeker.Seek(off, whence)
	r.pos = 0 // only reading counts
	return pos, err
}

func testRewind(t *testing.T, s storage.Store) {
	body := bytes.NewReader([]byte("whole"))
	_, _ = body.ReadByte()
	for _, key := range []string{"1", "2"} {
		if _, err := s.Put(t.Context(), key, body, storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		if got := Read(t, s, key, 0, -1); string(got) != "whole" {
			t.Errorf("%q", got)
		}
	}
}

func testAtomic(t *testing.T, s storage.Store) {
	versions := [][]byte{bytes.Repeat([]byte("a"), 300_000), bytes.Repeat([]byte("b"), 200_000)}
	put(t, s, "v.m3u8", versions[0], playlistAttributes)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r, _, err := s.Get(t.Context(), "v.m3u8", 0, -1)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(r)
				r.Close()
				if err != nil || !bytes.Equal(got, versions[0]) && !bytes.Equal(got, versions[1]) {
					t.Errorf("a reader sees neither version: %d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	for i := range 30 {
		put(t, s, "v.m3u8", versions[i%2], playlistAttributes)
	}
	close(done)
	wg.Wait()
}
