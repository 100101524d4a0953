package readback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// countedLists is a store whose listings are counted, and wait where they are told to.
type countedLists struct {
	*storetest.Memory
	lists atomic.Int64
	wait  chan struct{} // nil: they do not
	fail  error
}

func (c *countedLists) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	c.lists.Add(1)
	if c.wait != nil {
		<-c.wait
	}
	if c.fail != nil {
		return c.fail
	}
	return c.Memory.List(ctx, prefix, fn)
}

func newFinderRig(t *testing.T) (*Finder, *countedLists, *time.Time) {
	now := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	store := &countedLists{Memory: &storetest.Memory{}}
	registry := segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": {}}, Now: func() time.Time { return now }})
	f := NewFinder(registry, store, func() time.Time { return now })
	for _, key := range []string{"live/streams/cam-2024-05-01_10-00-00.000.m3u8", "live/streams/cam-2024-05-01_11-00-00.000.m3u8", "live/streams/cam2-2024-05-01_11-30-00.000.m3u8"} {
		if _, err := store.Put(t.Context(), key, bytes.NewReader([]byte("#EXTM3U\n")), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	return f, store, &now
}

func TestFinderFinds(t *testing.T) {
	f, store, now := newFinderRig(t)
	for _, c := range []struct{ at, want string }{{"10:30", "2024-05-01_10-00-00.000"}, {"11:59", "2024-05-01_11-00-00.000"}, {"09:00", ""}} {
		at, _ := time.Parse("2006-01-02 15:04", "2024-05-01 "+c.at)
		id, err := f.Find(t.Context(), "live", "cam", at)
		if string(id) != c.want || (c.want == "") != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("at %s: %q, %v", c.at, id, err)
		}
	}
	// Another server records a stream for the first time.
	if _, err := store.Put(t.Context(), "live/streams/new-2024-05-01_11-40-00.000.m3u8", bytes.NewReader(nil), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(namesTTL)
	if id, err := f.Find(t.Context(), "live", "new", *now); id != "2024-05-01_11-40-00.000" {
		t.Errorf("%q, %v", id, err)
	}
	store.fail = errors.New("away")
	if _, err := f.Find(t.Context(), "live", "other", now.Add(namesTTL)); err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not known is %v", err)
	}
	*now = now.Add(2 * namesTTL)
	if _, err := f.Find(t.Context(), "live", "other", *now); !errors.Is(err, store.fail) {
		t.Errorf("a bucket that is away: %v", err)
	}
}

// Names that nobody published cost a listing for all of them together, whatever app they are said to be of.
func TestFinderOfUnknownNames(t *testing.T) {
	f, store, now := newFinderRig(t)
	for n := range 1000 {
		for _, app := range []string{"live", fmt.Sprintf("app%d", n)} {
			if _, err := f.Find(t.Context(), app, fmt.Sprintf("nobody%d", n), *now); !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
	if n := store.lists.Load(); n != 2 {
		t.Errorf("%d listings", n)
	}
}

// Viewers of one moment share a listing, and none of them takes it away by leaving.
func TestFinderLooksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store, now := newFinderRig(t)
		if _, err := f.Find(t.Context(), "live", "cam2", *now); err != nil {
			t.Fatal(err)
		}
		before := store.lists.Load()
		store.wait = make(chan struct{})
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := f.Find(ctx, "live", "cam", *now)
			gone <- err
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if id, err := f.Find(t.Context(), "live", "cam", *now); err != nil || id != "2024-05-01_11-00-00.000" {
					t.Errorf("%q, %v", id, err)
				}
			})
		}
		synctest.Wait() // all of them wait for the listing
		leave()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
		close(store.wait)
		wg.Wait()
		if n := store.lists.Load() - before; n != 1 {
			t.Errorf("%d listings", n)
		}
	})
}

// What a path names, and the bucket cannot have, is not asked for; what it has, and what began just now, is.
func TestFinderHolds(t *testing.T) {
	f, store, now := newFinderRig(t)
	put := func(key string) {
		t.Helper()
		if _, err := store.Put(t.Context(), key, bytes.NewReader(nil), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	put("live/streams/cam/2024-05-01_10-00-00.000/000000001.ts")
	for _, c := range []struct {
		key  string
		want bool
	}{
		{"live/streams/cam/2024-05-01_10-00-00.000/000000001.ts", true},
		{"live/streams/cam/2024-05-01_10-00-00.000/000000999.ts", true}, // a recording that there is
		{"live/streams/cam/2024-05-01_10-00-00.000/live.m3u8", true},
		{"live/streams/cam-2024-05-01_10-00-00.000.m3u8", true},
		{"live/streams/cam.m3u8", true}, // no recording is named
		{"live/streams/cam/2024-05-01_10-00-00.001/000000001.ts", false},
		{"live/streams/cam-2024-05-01_10-00-00.001.m3u8", false},
		{"live/streams/nobody/2024-05-01_10-00-00.000/000000001.ts", false},
		{"nowhere/streams/cam/2024-05-01_10-00-00.000/000000001.ts", false},
		{"live/streams/cam/2124-05-01_10-00-00.000/000000001.ts", false},
	} {
		if got := f.Holds(t.Context(), c.key); got != c.want {
			t.Errorf("%s: %v", c.key, got)
		}
	}
	before := store.lists.Load()
	for n := range 1000 {
		for _, key := range []string{
			fmt.Sprintf("live/streams/nobody%d/2024-05-01_10-00-00.000/000000001.ts", n), fmt.Sprintf("live/streams/cam/2023-05-01_10-00-00.%03d/000000001.ts", n),
			fmt.Sprintf("live/streams/cam-2023-05-01_10-00-00.%03d.m3u8", n), fmt.Sprintf("live/streams/cam/2099-05-01_10-00-00.%03d/000000001.ts", n),
		} {
			if f.Holds(t.Context(), key) {
				t.Fatal(key)
			}
		}
	}
	if n := store.lists.Load() - before; n != 0 {
		t.Errorf("%d listings", n)
	}
	// Another server begins a recording.
	*now = now.Add(3 * time.Second)
	fresh := "live/streams/new/" + string(segmenter.NewRecordingID(now.Add(-time.Second))) + "/000000000.ts"
	put(fresh)
	if !f.Holds(t.Context(), fresh) {
		t.Error("what began a second ago is not found")
	}
	// A bucket that does not let itself be listed.
	*now, store.fail = now.Add(2*namesTTL), errors.New("forbidden")
	if !f.Holds(t.Context(), "live/streams/other/2024-05-01_10-00-00.000/000000001.ts") {
		t.Error("what cannot be listed is said not to be there")
	}
}
