package readback_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/readback"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

var errFlaky = errors.New("flaky")

func segmentKey(n int) string {
	return fmt.Sprintf("live/streams/cam/2023-08-24_16-02-52.970/%09d.ts", n)
}

// gate lets a Get's body out byte range by byte range.
type gate struct {
	storage.Getter
	step chan int // so many bytes more; closed: all
}

func (g *gate) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	r, o, err := g.Getter.Get(ctx, key, off, n)
	if err != nil {
		return r, o, err
	}
	return &gatedBody{ctx: ctx, r: r, step: g.step}, o, nil
}

type gatedBody struct {
	ctx  context.Context
	r    io.ReadCloser
	step chan int
}

func (b *gatedBody) Read(p []byte) (int, error) {
	select {
	case n, ok := <-b.step:
		if ok {
			p = p[:min(n, len(p))]
		}
		return b.r.Read(p)
	case <-b.ctx.Done():
		return 0, context.Cause(b.ctx)
	}
}

func (b *gatedBody) Close() error { return b.r.Close() }

func TestCacheCollapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		body := storetest.Random(1, 1000)
		if _, err := m.Put(t.Context(), segmentKey(1), bytes.NewReader(body), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		g := &gate{m, make(chan int)}
		var stats storage.StoreStats
		r := readback.New(storage.Measure(struct {
			storage.Getter
			storage.Putter
			storage.Lister
			storage.Remover
		}{g, m, m, m}, &stats), readback.Options{})
		defer r.Close()
		var got [10]bytes.Buffer
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				c, err := r.Open(t.Context(), segmentKey(1))
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				if c.Size != 1000 {
					t.Errorf("size %d", c.Size)
				}
				if _, err := io.Copy(&got[i], c); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		g.step <- 300
		synctest.Wait()
		for i := range got { // bytes reach everyone as they come
			if !bytes.Equal(got[i].Bytes(), body[:300]) {
				t.Errorf("reader %d has %d bytes", i, got[i].Len())
			}
		}
		close(g.step)
		wg.Wait()
		for i := range got {
			if !bytes.Equal(got[i].Bytes(), body) {
				t.Errorf("reader %d has %d bytes", i, got[i].Len())
			}
		}
		c, err := r.Open(t.Context(), segmentKey(1))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if n := stats.Get.Requests.Load(); n != 1 || r.Stats.Joined.Load() != 9 || r.Stats.Hits.Load() != 1 {
			t.Errorf("%d requests, %d joined, %d hits", n, r.Stats.Joined.Load(), r.Stats.Hits.Load())
		}
	})
}

// One who reads slowly, or not at all, holds up neither the fetch nor the others; one who leaves does not end it for them.
func TestCacheSlowReader(t *testing.T) {
	m := &storetest.Memory{}
	body := storetest.Random(1, 1<<20)
	if _, err := m.Put(t.Context(), segmentKey(1), bytes.NewReader(body), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	r := readback.New(m, readback.Options{})
	defer r.Close()
	slow, err := r.Open(t.Context(), segmentKey(1))
	if err != nil {
		t.Fatal(err)
	}
	leaver, err := r.Open(t.Context(), segmentKey(1))
	if err != nil {
		t.Fatal(err)
	}
	leaver.Close()
	for range 3 {
		c, err := r.Open(t.Context(), segmentKey(1))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		c.Close()
	}
	for _, off := range []int64{1 << 19, 5, 1<<20 - 1, 1 << 20} {
		if _, err := slow.Seek(off, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 10)
		n, err := io.ReadFull(slow, p)
		want := body[min(off, 1<<20):min(off+10, 1<<20)]
		if !bytes.Equal(p[:n], want) || n < 10 && err == nil {
			t.Errorf("at %d: %d bytes, %v", off, n, err)
		}
	}
	slow.Close()
	if _, err := slow.Read(make([]byte, 1)); err == nil {
		t.Error("closed content can be read")
	}
}

func TestCacheMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := storetest.NewFaulty(&storetest.Memory{})
		r := readback.New(f, readback.Options{})
		defer r.Close()
		open := func(key string) error {
			c, err := r.Open(t.Context(), key)
			if err == nil {
				c.Close()
			}
			return err
		}
		for range 5 {
			if err := open(segmentKey(1)); !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		}
		if n := r.Stats.Fetches.Load(); n != 1 {
			t.Errorf("%d requests for one missing object", n)
		}
		if _, err := f.Put(t.Context(), segmentKey(1), strings.NewReader("x"), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // the fake clock's
		if err := open(segmentKey(1)); err != nil {
			t.Errorf("now that it is there: %v", err)
		}
		// Failures are not remembered.
		f.Set(storetest.Fault{Err: errFlaky, Times: 1})
		if err := open(segmentKey(2)); !errors.Is(err, errFlaky) {
			t.Error(err)
		}
		if err := open(segmentKey(2)); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
}

func TestCachePlaylistsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		r := readback.New(m, readback.Options{})
		defer r.Close()
		const key = "live/streams/cam.m3u8"
		read := func() string {
			c, err := r.Open(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			b, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		for i, want := range []string{"1", "1", "3"} {
			if _, err := m.Put(t.Context(), key, strings.NewReader(fmt.Sprint(i+1)), storage.Attributes{}); err != nil {
				t.Fatal(err)
			}
			if got := read(); got != want {
				t.Errorf("read %q, want %q", got, want)
			}
			time.Sleep(time.Second)
		}
		if _, err := m.Put(t.Context(), key, strings.NewReader("4"), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		r.Forget(func(key string) bool { return strings.Contains(key, "/other.") })
		if got := read(); got != "3" {
			t.Errorf("read %q: another was to be forgotten", got)
		}
		c, err := r.Open(t.Context(), key) // who reads it is not disturbed
		if err != nil {
			t.Fatal(err)
		}
		r.Forget(func(string) bool { return true })
		if got := read(); got != "4" {
			t.Errorf("read %q after it was to be forgotten", got)
		}
		b, err := io.ReadAll(c)
		if string(b) != "3" || err != nil {
			t.Errorf("who had it open has %q, %v", b, err)
		}
		_ = c.Close()
	})
}

// Memory stays under its bound whatever is read, and all of it comes back.
func TestCacheBounds(t *testing.T) {
	m := &storetest.Memory{}
	bodies := make([][]byte, 40)
	for i := range bodies {
		bodies[i] = storetest.Random(uint64(i), 10_000+i*1000)
		if _, err := m.Put(t.Context(), segmentKey(i), bytes.NewReader(bodies[i]), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	const bound = 120_000
	r := readback.New(m, readback.Options{MaxBytes: bound, MaxObject: 45_000})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 300 {
				i := rand.IntN(len(bodies))
				c, err := r.Open(t.Context(), segmentKey(i))
				if err != nil {
					t.Error(err)
					return
				}
				off := rand.IntN(len(bodies[i]) + 1)
				if rand.IntN(4) > 0 {
					if _, err := c.Seek(int64(off), io.SeekStart); err != nil {
						t.Error(err)
					}
					if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, bodies[i][off:]) {
						t.Errorf("%d from %d: %d bytes, %v", i, off, len(got), err)
					}
				}
				c.Close()
				// Entries that exist only for a moment have their fixed cost.
				if used := r.Stats.Bytes.Load(); used > bound+8*1024 {
					t.Errorf("%d bytes in use", used)
				}
			}
		})
	}
	wg.Wait()
	if r.Stats.Evicted.Load() == 0 || r.Stats.Passed.Load() == 0 {
		t.Errorf("%d evicted, %d passed: the bounds were not reached", r.Stats.Evicted.Load(), r.Stats.Passed.Load())
	}
	r.Close()
	if _, err := r.Open(t.Context(), segmentKey(1)); err == nil {
		t.Error("opened after Close")
	}
}

// A fetch ends when the last who waits for it leaves, and its memory is given back.
func TestCacheAllLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		if _, err := m.Put(t.Context(), segmentKey(1), bytes.NewReader(make([]byte, 1000)), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		g := &gate{m, make(chan int)}
		r := readback.New(g, readback.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		c, err := r.Open(ctx, segmentKey(1))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			_, err := io.ReadAll(c)
			c.Close()
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		synctest.Wait()
		if used := r.Stats.Bytes.Load(); used != 0 {
			t.Errorf("%d bytes in use", used)
		}
		// The next one begins anew.
		close(g.step)
		if c, err = r.Open(t.Context(), segmentKey(1)); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); err != nil || len(b) != 1000 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		c.Close()
		r.Close()
	})
}

func TestCacheBrokenBody(t *testing.T) {
	f := storetest.NewFaulty(&storetest.Memory{})
	if _, err := f.Put(t.Context(), segmentKey(1), bytes.NewReader(make([]byte, 1000)), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	r := readback.New(f, readback.Options{})
	defer r.Close()
	for _, cut := range []error{errFlaky, io.EOF} {
		f.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpGet}, CutBody: 500, Err: cut, Times: 1})
		c, err := r.Open(t.Context(), segmentKey(1))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); err == nil || len(b) != 500 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		c.Close()
	}
	c, err := r.Open(t.Context(), segmentKey(1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, err := io.ReadAll(c); err != nil || len(b) != 1000 {
		t.Errorf("afterwards: %d bytes, %v", len(b), err)
	}
}

// What stands in for a lost segment may be mended: it is not kept for ever, as a segment is.
func TestCacheOfAStandIn(t *testing.T) {
	for _, c := range []struct{ age, want string }{{segmenter.AgeSegment, "first"}, {segmenter.AgeGap, "mended"}} {
		synctest.Test(t, func(t *testing.T) {
			m := &storetest.Memory{}
			r := readback.New(m, readback.Options{})
			defer r.Close()
			got := ""
			for _, body := range []string{"first", "mended"} {
				if _, err := m.Put(t.Context(), segmentKey(1), strings.NewReader(body), storage.Attributes{CacheControl: c.age}); err != nil {
					t.Fatal(err)
				}
				o, err := r.Open(t.Context(), segmentKey(1))
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(o)
				if err != nil {
					t.Fatal(err)
				}
				o.Close()
				got = string(b)
				time.Sleep(2 * time.Minute)
			}
			if got != c.want {
				t.Errorf("%s: %q, want %q", c.age, got, c.want)
			}
		})
	}
}
