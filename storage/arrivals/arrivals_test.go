package arrivals

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// yard is a watched place, with servers that look at it.
type yard struct {
	t     *testing.T
	place *storetest.Memory
	own   *storetest.Memory
	mu    sync.Mutex
	got   []string // what was found, in any order
	once  map[string]bool
	fail  error
}

func newYard(t *testing.T) *yard {
	return &yard{t: t, place: &storetest.Memory{Now: time.Now}, own: &storetest.Memory{Now: time.Now}, once: map[string]bool{}}
}

func (y *yard) put(key string, size int) {
	y.t.Helper()
	if _, err := y.place.Put(y.t.Context(), key, bytes.NewReader(make([]byte, size)), storage.Attributes{}); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) watch() *Watch {
	return New(Options{
		Place: y.place, Prefix: "up/", URL: "s3://b/up/", Own: y.own, Poll: 10 * time.Second, Now: time.Now,
		Skip: func(key string) bool { return !Media(key) || strings.HasPrefix(key, "up/vod/") },
		Found: func(_ context.Context, a Arrival) error {
			y.mu.Lock()
			defer y.mu.Unlock()
			if y.fail != nil {
				return y.fail
			}
			if !y.once[a.Once] {
				y.once[a.Once] = true
				y.got = append(y.got, a.URL)
			}
			return nil
		},
	})
}

// look looks with all servers at once, n times.
func (y *yard) look(n int, all ...*Watch) {
	for range n {
		var wg sync.WaitGroup
		for _, w := range all {
			wg.Go(func() { _ = w.Look(y.t.Context()) })
		}
		wg.Wait()
		time.Sleep(10 * time.Second)
	}
}

func (y *yard) wants(want ...string) {
	y.t.Helper()
	slices.Sort(y.got)
	if !slices.Equal(y.got, want) {
		y.t.Errorf("found %q, want %q", y.got, want)
	}
	y.got = nil
}

func TestEachOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		y.put("up/a.mov", 5)
		y.put("up/deep/b b.MP4", 5)
		y.put("up/vod/x/720p/segment-0.ts", 5)
		y.put("up/notes.txt", 5)
		y.put("up/.hidden.mp4", 5)
		y.put("up/empty.mp4", 0)
		y.put("other/c.mov", 5)
		a, b := y.watch(), y.watch()
		y.look(1, a, b)
		y.wants()
		y.look(3, a, b)
		y.wants("s3://b/up/a.mov", "s3://b/up/deep/b b.MP4")
		if a.Skipped() != 3 {
			t.Errorf("%d skipped", a.Skipped())
		}
		y.look(3, a, b, y.watch()) // one of them has just been started
		y.wants()
		y.put("up/a.mov", 6) // another file of that name
		y.look(3, a, b)
		y.wants("s3://b/up/a.mov")
	})
}

func TestGrowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		a := y.watch()
		for size := range 8 {
			y.put("up/a.mov", size)
			y.look(1, a)
		}
		y.wants()
		y.look(2, a)
		y.wants("s3://b/up/a.mov")
	})
}

func TestNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		y.fail = errors.New("the queue is away")
		y.put("up/a.mov", 5)
		a := y.watch()
		y.look(5, a)
		y.wants()
		y.fail = nil
		y.look(1, a)
		y.wants("s3://b/up/a.mov")
	})
}

func TestHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		y.put("up/a.mov", 5)
		y.put("other/a.mov", 5)
		a, b := y.watch(), y.watch()
		for _, key := range []string{"up/a.mov", "up/a.mov", "up/none.mov", "other/a.mov", "up/vod/a.ts"} {
			if err := a.Hint(t.Context(), "s3://b/"+key); err != nil {
				t.Error(err)
			}
		}
		y.wants("s3://b/up/a.mov")
		y.look(3, a, b)
		y.wants()
	})
}

// What is gone is forgotten after a day, and not before: a disk that is away for a night has no new files when it is back.
func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		y.put("up/a.mov", 5)
		y.put("up/b.mov", 5)
		a := y.watch()
		y.look(3, a)
		y.wants("s3://b/up/a.mov", "s3://b/up/b.mov")
		o, _ := y.place.Stat(t.Context(), "up/a.mov")
		if err := y.place.Remove(t.Context(), "up/a.mov"); err != nil {
			t.Fatal(err)
		}
		for range 12 {
			time.Sleep(time.Hour)
			y.look(1, a)
		}
		y.place.Now = func() time.Time { return o.Modified } // it is back as it was
		y.put("up/a.mov", 5)
		y.look(3, a)
		y.wants()
		if err := y.place.Remove(t.Context(), "up/a.mov"); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			time.Sleep(time.Hour)
			y.look(1, a)
		}
		if n := len(storetest.Keys(t, y.own, "")); n != 1 {
			t.Errorf("%d are remembered", n)
		}
	})
}

// Where there is very much, it is looked at less often.
func TestEvery(t *testing.T) {
	w := New(Options{Poll: 10 * time.Second})
	for pages, want := range map[int]time.Duration{0: 10 * time.Second, 4: 10 * time.Second, 40: 100 * time.Second, 4000: 5 * time.Minute} {
		if w.pages = pages; w.Every() != want {
			t.Errorf("%d pages: %v", pages, w.Every())
		}
	}
}
