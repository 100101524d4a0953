package origin

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// Slow viewers keep nobody from the archive, and requests that open one object together count as one.
func TestSlowViewersKeepNobodyOut(t *testing.T) {
	engines1(t, Options{MaxArchiveReads: 2}, func(t *testing.T, r *rig) {
		const dir = "/live/streams/cam/2020-01-01_00-00-00.000/"
		body := make([]byte, 4<<20) // more than sockets buffer
		for i := range 8 {
			r.archive.put(t, fmt.Sprintf("%s%09d.ts", dir, i), body)
		}
		for i := range 24 {
			c := r.dial(t)
			fmt.Fprintf(c, "GET %s%09d.ts HTTP/1.1\r\nHost: x\r\n\r\n", dir, i%8)
			head := make([]byte, 12)
			if _, err := c.Read(head); err != nil || string(head) != "HTTP/1.1 200" {
				t.Fatalf("viewer %d: %q, %v", i, head, err)
			}
		}
		r.get(dir+"000000007.ts").want(t, 200)
		if n := r.origin.Stats().Overloads.Load(); n != 0 {
			t.Errorf("%d times too many", n)
		}
	})
}

func TestGateCountsKeys(t *testing.T) {
	g := gate{max: 2}
	for _, key := range []string{"a", "b", "a", "a"} {
		if !g.enter(key) {
			t.Fatalf("%s is kept out", key)
		}
	}
	if g.enter("c") {
		t.Error("a third key is let in")
	}
	g.leave("b")
	if !g.enter("c") || g.enter("b") {
		t.Error("the place of b is not given on")
	}
	for range 3 {
		g.leave("a")
	}
	if g.leave("c"); len(g.keys) != 0 {
		t.Errorf("left over: %v", g.keys)
	}
}

func TestPressIsBounded(t *testing.T) {
	p := newPress()
	for range maxRendering {
		if err := p.enter(nil); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	for range maxWaiting {
		wg.Go(func() {
			if p.enter(ctx.Done()) != nil {
				mu.Lock()
				defer mu.Unlock()
				refused++
			}
		})
	}
	await(t, "the queue to be full", func() bool { return len(p.queue) == cap(p.queue) })
	if p.enter(nil) == nil {
		t.Error("the queue has no end")
	}
	cancel()
	wg.Wait()
	if refused != maxWaiting || len(p.queue) != maxRendering {
		t.Errorf("%d were let go, %d are left", refused, len(p.queue))
	}
	for range maxRendering {
		p.leave()
	}
	if len(p.queue)+len(p.slots) != 0 {
		t.Error("a place was lost")
	}
}

// A request that waits for a page made by another ends with its own context. The page is made all the same, even if its maker fails.
func TestPageIsWaitedFor(t *testing.T) {
	c := pages{max: 10_000, now: time.Now}
	begun, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := cached(t.Context(), &c, "a", func() (string, int64, time.Duration, error) {
			close(begun)
			<-goOn
			return "made", 4, 0, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cached(ctx, &c, "a", func() (string, int64, time.Duration, error) { panic("made twice") }); err == nil {
		t.Error("a page came from nowhere")
	}
	close(goOn)
	wg.Wait()
	if v, err := cached(t.Context(), &c, "a", func() (string, int64, time.Duration, error) { panic("made twice") }); v != "made" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = cached(t.Context(), &c, "b", func() (string, int64, time.Duration, error) { panic("broken") })
	}()
	if v, err := cached(t.Context(), &c, "b", func() (string, int64, time.Duration, error) { return "again", 5, 0, nil }); v != "again" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}
