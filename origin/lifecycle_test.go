package origin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

func TestStateStartingHoldsTheFirstPlaylist(t *testing.T) {
	engines(t, Options{TargetDuration: time.Minute}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(time.Second)
		id := r.snapshot("cam").Recording
		held := make(chan reply, 3)
		paths := []string{"/live/streams/cam.m3u8", "/live/streams/cam/" + string(id) + "/live.m3u8", "/live/streams/cam-" + string(id) + ".m3u8"}
		for _, path := range paths {
			go func() { held <- r.get(path) }()
		}
		await(t, "held requests", func() bool { return r.origin.Stats().Held.Load() == 3 })
		r.do("HEAD", paths[0]).want(t, 404, "Cache-Control", "max-age=3") // never blocks
		e.run(20 * time.Second)
		for range paths {
			(<-held).want(t, 200)
		}
		if got := r.origin.Stats().Held.Load(); got != 0 {
			t.Errorf("%d requests are still held", got)
		}
	})
}

func TestStateStartingGivesUp(t *testing.T) {
	for _, c := range []struct{ td, max, want time.Duration }{
		{10 * time.Millisecond, time.Hour, 30 * time.Millisecond},
		{time.Hour, 20 * time.Millisecond, 20 * time.Millisecond},
	} {
		engines(t, Options{TargetDuration: c.td, MaxHold: c.max}, func(t *testing.T, r *rig) {
			r.publish("cam").run(time.Second)
			begin := time.Now()
			r.get("/live/streams/cam.m3u8").want(t, 404, "Cache-Control", "max-age=3")
			if took := time.Since(begin); took < c.want || took > c.want+5*time.Second {
				t.Errorf("held for %v, want %v", took, c.want)
			}
		})
	}
	if o := New(Options{Streams: nowhere{}, Now: time.Now}); o.holdFor(&segmenter.Snapshot{TargetDuration: 6}) != 18*time.Second ||
		o.holdFor(&segmenter.Snapshot{TargetDuration: 12}) != 25*time.Second || o.holdFor(&segmenter.Snapshot{}) != 12*time.Second {
		t.Error("the hold is not min(3 TD, 25 s)")
	}
}

func TestHeldRequestEndsWithItsClient(t *testing.T) {
	engines(t, Options{TargetDuration: time.Hour, MaxHold: time.Hour}, func(t *testing.T, r *rig) {
		r.publish("cam").run(time.Second)
		ctx, cancel := context.WithCancel(context.Background())
		req, _ := http.NewRequestWithContext(ctx, "GET", r.url+"/live/streams/cam.m3u8", nil)
		go r.client().Do(req)
		await(t, "a held request", func() bool { return r.origin.Stats().Held.Load() == 1 })
		cancel()
		await(t, "its end", func() bool { return r.origin.Stats().Held.Load() == 0 })
	})
}

func TestLimitHeldRequests(t *testing.T) {
	engines(t, Options{TargetDuration: time.Hour, MaxHold: time.Hour, MaxHeld: 1}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(time.Second)
		held := make(chan reply)
		go func() { held <- r.get("/live/streams/cam.m3u8") }()
		await(t, "a held request", func() bool { return r.origin.Stats().Held.Load() == 1 })
		r.get("/live/streams/cam.m3u8").want(t, 404, "Cache-Control", "max-age=3")
		e.run(20 * time.Second)
		(<-held).want(t, 200)
	})
}

func TestStateStalledKeepsTheLastPlaylist(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(21 * time.Second)
		r.advance(10 * time.Second) // silent, still connected
		if s := r.snapshot("cam").State; s != segmenter.Stalled {
			t.Fatalf("state %v", s)
		}
		a := r.get(r.live("cam"))
		a.want(t, 200, "Cache-Control", "public, max-age=2, stale-if-error=4")
		if strings.Contains(string(a.body), "ENDLIST") {
			t.Error("ended while stalled")
		}
	})
}

func TestStateStalledFailsWhereAsked(t *testing.T) {
	engines(t, Options{FailOnStale: true}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(21 * time.Second)
		r.get("/live/streams/cam.m3u8").want(t, 200)
		r.advance(10 * time.Second)
		r.get("/live/streams/cam.m3u8").want(t, 404, "Cache-Control", "max-age=3")
		r.get(r.live("cam")).want(t, 404, "Cache-Control", "max-age=3")
		r.get(r.segment("cam", 1)).want(t, 200)
		e.run(8 * time.Second)
		r.get("/live/streams/cam.m3u8").want(t, 200)
	})
}

func TestStateEndedThenGoneThenRestarted(t *testing.T) {
	engines(t, Options{TargetDuration: time.Minute}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(21 * time.Second)
		first := r.get("/live/streams/cam.m3u8")
		e.end()
		if a := r.get("/live/streams/cam.m3u8"); string(a.body) != string(first.body) {
			t.Errorf("the entry changed with the end: %s", a.body)
		}
		second := r.publish("cam")
		second.run(time.Second)
		held := make(chan reply)
		go func() { held <- r.get("/live/streams/cam.m3u8") }()
		await(t, "a held request", func() bool { return r.origin.Stats().Held.Load() == 1 })
		second.run(20 * time.Second)
		a := <-held
		if a.want(t, 200); string(a.body) == string(first.body) {
			t.Error("the restarted show is hidden behind its past")
		}
		second.end()
		r.advance(time.Hour)
		r.get("/live/streams/cam.m3u8").want(t, 404, "Cache-Control", "max-age=3")
	})
}

func TestStopReleasesAndDrains(t *testing.T) {
	for _, mode := range []string{pollers, goroutines, overTLS} {
		r := newRigOver(t, Options{TargetDuration: time.Hour, MaxHold: time.Hour}, mode)
		e := r.publish("big")
		e.size = 100_000 // more than the socket buffers hold
		e.run(21 * time.Second)
		r.publish("cam").run(time.Second)
		stop := r.start()
		held := make(chan reply)
		go func() { held <- r.get("/live/streams/cam.m3u8") }()
		idle, slow := r.dial(t), r.dial(t)
		fmt.Fprintf(idle, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		idleReader := bufio.NewReader(idle)
		if _, err := http.ReadResponse(idleReader, nil); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(slow, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", r.segment("big", 1))
		res, err := http.ReadResponse(bufio.NewReader(slow), nil)
		if err != nil {
			t.Fatal(err)
		}
		await(t, "a held request", func() bool { return r.origin.Stats().Held.Load() == 1 })

		stopped := make(chan error)
		go func() { stopped <- stop() }()
		(<-held).want(t, 404)
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != res.ContentLength {
			t.Errorf("the answer under way was cut: %d of %d, %v", n, res.ContentLength, err)
		}
		slow.Close()
		if err := <-stopped; err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		if _, err := net.Dial("tcp", r.addr); err == nil {
			t.Error("still accepting")
		}
		if _, err := io.Copy(io.Discard, idle); err != nil {
			t.Errorf("idle connection: %v", err)
		}
		if n := r.origin.Stats().Connections.Load(); n != 0 {
			t.Errorf("%d connections left", n)
		}
	}
}

func TestStopCutsWhoDoesNotRead(t *testing.T) {
	for _, mode := range []string{pollers, goroutines, overTLS} {
		r := newRigOver(t, Options{DrainTimeout: 50 * time.Millisecond}, mode)
		const path = "/live/streams/big/2020-01-01_00-00-00.000/000000001.ts"
		r.archive.put(t, path, make([]byte, 30<<20)) // more than sockets buffer
		stop := r.start()
		slow := r.dial(t)
		fmt.Fprintf(slow, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		if _, err := http.ReadResponse(bufio.NewReader(slow), nil); err != nil {
			t.Fatal(err)
		}
		if err := stop(); err == nil {
			t.Error("a cut connection was called a clean stop")
		}
		if n := r.origin.Stats().Connections.Load(); n != 0 {
			t.Errorf("%d connections left", n)
		}
	}
}

// await waits until a condition is true.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: never came", what)
		}
	}
}
