package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
)

func testListOrder(t *testing.T, s storage.Store) {
	keys := []string{"s/a-1", "s/a.m3u8", "s/a/1", "s/a/2", "s/a/b/3", "s/a0", "s/ab/1", "s/stream1/1.ts", "s/stream10/1.ts", "t/1"}
	for _, i := range rand.Perm(len(keys)) {
		put(t, s, keys[i], []byte(keys[i]), storage.Attributes{})
	}
	for prefix, want := range map[string][]string{
		"":               keys,
		"s":              keys[:9],
		"s/":             keys[:9],
		"s/a":            keys[:7],
		"s/a/":           keys[2:5],
		"s/a/b":          keys[4:5],
		"s/stream1":      keys[7:9],
		"s/stream1/":     keys[7:8],
		"s/stream1/1.ts": keys[7:8],
		"s/a/1/":         nil,
		"u":              nil,
	} {
		if got := Keys(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("prefix %q: %q, want %q", prefix, got, want)
		}
	}
	if err := s.List(t.Context(), "s/a/1", func(o storage.Object) error {
		if o.Size != int64(len(o.Key)) || o.Modified.IsZero() {
			t.Errorf("listed %+v", o)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func testListMany(t *testing.T, s storage.Store) {
	const n = 1050 // more than a page in S3
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < n; i += 8 {
				if _, err := s.Put(t.Context(), fmt.Sprintf("m/%09d.ts", i), strings.NewReader("x"), segmentAttributes); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	keys := Keys(t, s, "m/")
	if len(keys) != n || !slices.IsSorted(keys) {
		t.Fatalf("%d keys, sorted: %v", len(keys), slices.IsSorted(keys))
	}
	if err := s.Remove(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	if got := Keys(t, s, ""); got != nil {
		t.Errorf("%d keys are left", len(got))
	}
}

func testListStops(t *testing.T, s storage.Store) {
	for i := range 5 {
		put(t, s, fmt.Sprint("k", i), nil, storage.Attributes{})
	}
	stop, n := errors.New("stop"), 0
	if err := s.List(t.Context(), "", func(storage.Object) error {
		if n++; n == 2 {
			return stop
		}
		return nil
	}); err != stop || n != 2 {
		t.Errorf("%v after %d", err, n)
	}
}

func testBrowse(t *testing.T, s storage.Store) {
	for _, key := range []string{"live/streams/a-1.m3u8", "live/streams/a.m3u8", "live/streams/a/1.ts", "live/streams/a/2.ts", "live/streams/b/c/1.ts", "vod/x", "z"} {
		put(t, s, key, []byte("x"), storage.Attributes{})
	}
	for prefix, want := range map[string][]string{
		"":              {"live/", "vod/", "z"},
		"live/":         {"live/streams/"},
		"live/streams/": {"live/streams/a-1.m3u8", "live/streams/a.m3u8", "live/streams/a/", "live/streams/b/"},
		"none/":         nil,

		"live/streams/a":  {"live/streams/a-1.m3u8", "live/streams/a.m3u8", "live/streams/a/"},
		"live/streams/a-": {"live/streams/a-1.m3u8"},
		"live/streams/n":  nil,
		"l":               {"live/"},
		"z":               {"z"},
	} {
		var got []string
		if err := storage.Browse(t.Context(), s, prefix, func(o storage.Object) error {
			got = append(got, o.Key)
			return nil
		}); err != nil || !slices.Equal(got, want) {
			t.Errorf("browse %q: %q, %v", prefix, got, err)
		}
	}
}
