package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// sulky is a store that accepts nothing for a while, and already has one object.
type sulky struct {
	until time.Time
	has   string

	mu    sync.Mutex
	got   map[string][]byte
	attrs storage.Attributes
	tries int
}

func (s *sulky) Put(_ context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if time.Now().Before(s.until) {
		return "", errors.New("away")
	}
	if key == s.has {
		return "", fmt.Errorf("put %s: %w", key, storage.ErrExists)
	}
	b, err := io.ReadAll(body)
	s.got[key], s.attrs = b, a
	return "", err
}

func TestStillsReachTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := func(n int) segmenter.Name {
			return segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: "2024-05-01_10-00-00.000", Sequence: uint64(n)}
		}
		store := &sulky{until: time.Now().Add(time.Minute), has: name(1).String(), got: map[string][]byte{}}
		s := newStills()
		var moved broadcast
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			s.run(ctx, store, &moved)
			close(done)
		}()
		for n := range 3 {
			s.put(still{name(n), bytes.Repeat([]byte{byte(n)}, 188)})
		}
		time.Sleep(59 * time.Second)
		store.mu.Lock()
		if !s.pending() || len(store.got) != 0 || store.tries > 20 {
			t.Errorf("pending %v, %d taken, %d attempts in a minute", s.pending(), len(store.got), store.tries)
		}
		store.mu.Unlock()
		time.Sleep(10 * time.Second)
		store.mu.Lock()
		if s.pending() || len(store.got) != 2 || store.got[name(1).String()] != nil || len(store.got[name(2).String()]) != 188 {
			t.Errorf("pending %v, taken %d", s.pending(), len(store.got))
		}
		if a := store.attrs; a.CacheControl != segmenter.AgeGap || a.ContentType != segmenter.TypeSegment || !a.IfAbsent {
			t.Errorf("%+v", a)
		}
		store.mu.Unlock()
		cancel()
		<-done
	})
}

func TestStillsAreBounded(t *testing.T) {
	s := newStills()
	for n := range 2 * maxStills {
		s.put(still{segmenter.Name{Sequence: uint64(n)}, make([]byte, 188)})
	}
	if first, _ := s.next(); len(s.queue) != maxStills || first.name.Sequence != maxStills {
		t.Errorf("%d wait, the first is %d", len(s.queue), first.name.Sequence)
	}
	for range 3 {
		s.put(still{segmenter.Name{Sequence: 9999}, make([]byte, maxStillBytes/2)})
	}
	if s.size > maxStillBytes || len(s.queue) > 2 {
		t.Errorf("%d bytes wait in %d", s.size, len(s.queue))
	}
}
