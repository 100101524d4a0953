package players

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

// studio publishes a show, each stream by its own encoder, one connection after another. An encoder that the server cuts off reconnects and
// continues with the next keyframe, like real ones; the test can ask how often.
type studio struct {
	app   string // URL
	began time.Time
	wg    sync.WaitGroup
	quit  context.CancelFunc

	mu      sync.Mutex
	show    map[string][]connection // by stream
	revised chan struct{}           // closed when the show changes
	refused []string                // what the server said, and when
}

// again is how soon an encoder reconnects.
const again = 300 * time.Millisecond

// publish begins a show. It ends with the test.
func publish(t *testing.T, app string, show []connection) *studio {
	t.Helper()
	ctx, quit := context.WithCancel(context.Background())
	s := &studio{app: app, began: time.Now(), quit: quit, revised: make(chan struct{})}
	s.revise(show)
	for stream := range s.show {
		s.wg.Go(func() { s.run(ctx, stream) })
	}
	t.Cleanup(s.end)
	return s
}

// revise changes what is still to come: what has been sent is the same in both shows.
func (s *studio) revise(show []connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.show = map[string][]connection{}
	for _, c := range show {
		s.show[c.stream] = append(s.show[c.stream], c)
	}
	close(s.revised)
	s.revised = make(chan struct{})
}

// now returns how far the show has come.
func (s *studio) now() time.Duration { return time.Since(s.began) }

// until waits for a time of the show.
func (s *studio) until(at time.Duration) { time.Sleep(at - s.now()) }

// end cuts off those that still publish.
func (s *studio) end() {
	s.quit()
	s.wg.Wait()
}

// refusals returns the times that the server cut an encoder off.
func (s *studio) refusals() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.refused...)
}

// place is a tag of the show: which connection of a stream, and which of its tags.
type place struct {
	stream     string
	connection int
	tag        int
}

// next waits until the tag at a place is due, and returns it. It returns false if there is none, or the show is over. before is called when
// there is something to wait for.
func (s *studio) next(ctx context.Context, p place, before func() error) (x sent, ok bool, err error) {
	for {
		s.mu.Lock()
		all, revised := s.show[p.stream], s.revised
		s.mu.Unlock()
		if p.connection >= len(all) || p.tag >= len(all[p.connection].tags) {
			return x, false, nil
		}
		x = all[p.connection].tags[p.tag]
		if s.now() >= x.at {
			return x, true, nil
		}
		if err := before(); err != nil {
			return x, false, err
		}
		timer := time.NewTimer(x.at - s.now())
		select {
		case <-timer.C:
		case <-revised:
		case <-ctx.Done():
			timer.Stop()
			return x, false, ctx.Err()
		}
		timer.Stop()
	}
}

// of returns a connection as the show is now.
func (s *studio) of(p place) (c connection, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if all := s.show[p.stream]; p.connection < len(all) {
		return all[p.connection], true
	}
	return c, false
}

// run is one encoder.
func (s *studio) run(ctx context.Context, stream string) {
	for p := (place{stream: stream}); ; p = (place{stream: stream, connection: p.connection + 1}) {
		if _, ok := s.of(p); !ok {
			return
		}
		for {
			err := s.send(ctx, &p)
			if err == nil || ctx.Err() != nil {
				break
			}
			s.mu.Lock()
			s.refused = append(s.refused, fmt.Sprintf("%s at %.1f s: %v", stream, s.now().Seconds(), err))
			s.mu.Unlock()
			c, _ := s.of(p)
			if p.tag = resume(c.tags, p.tag, s.now()+again); p.tag == len(c.tags) {
				break
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// resume returns where an encoder that was cut off at a tag continues when it reconnects at a time: at the next keyframe.
func resume(tags []sent, tag int, at time.Duration) int {
	for ; tag < len(tags); tag++ {
		if tags[tag].at >= at && key(tags[tag].tag) {
			break
		}
	}
	return tag
}

// send publishes over one connection from a place on, and advances the place.
func (s *studio) send(ctx context.Context, p *place) error {
	nothing := func() error { return nil }
	first, ok, err := s.next(ctx, *p, nothing)
	if !ok {
		return err
	}
	c, _ := s.of(*p)
	conn, err := rtmpclient.Dial(ctx, s.app+"/"+p.stream)
	if err != nil {
		return err
	}
	if p.tag > 0 { // cut off before
		for _, h := range c.headers {
			h.Timestamp = first.tag.Timestamp
			if err := conn.Write(h); err != nil {
				conn.Abort()
				return err
			}
		}
	}
	for ; ; p.tag++ {
		x, ok, err := s.next(ctx, *p, conn.Flush)
		if err == nil && ok {
			err = conn.Write(x.tag)
		}
		if err != nil {
			conn.Abort()
			return err
		}
		if !ok {
			break
		}
	}
	err = conn.Flush()
	if c, _ := s.of(*p); c.cut || err != nil {
		conn.Abort()
		return err
	}
	return conn.Close()
}

func TestResume(t *testing.T) {
	tags := []sent{
		{1 * time.Second, rtmpclient.Tag{Type: 9, Timestamp: 1000, Data: []byte{0x17, 1}}},
		{2 * time.Second, rtmpclient.Tag{Type: 9, Timestamp: 2000, Data: []byte{0x27, 1}}},
		{3 * time.Second, rtmpclient.Tag{Type: 8, Timestamp: 3000, Data: []byte{0xaf, 1}}},
		{4 * time.Second, rtmpclient.Tag{Type: 9, Timestamp: 4000, Data: []byte{0x17, 1}}},
	}
	for _, x := range []struct {
		tag  int
		at   time.Duration
		want int
	}{{0, time.Second, 0}, {0, 1500 * time.Millisecond, 3}, {1, 0, 3}, {0, 5 * time.Second, 4}} {
		if got := resume(tags, x.tag, x.at); got != x.want {
			t.Errorf("cut off at %d, at %v it goes on with %d, want %d", x.tag, x.at, got, x.want)
		}
	}
}

// A revised show goes on with what is new in it, even if the encoder is waiting for something that no longer comes.
func TestRevise(t *testing.T) {
	at := func(ms ...int) (tags []sent) {
		for _, n := range ms {
			tags = append(tags, sent{time.Duration(n) * time.Millisecond, rtmpclient.Tag{Timestamp: uint32(n)}})
		}
		return tags
	}
	s := &studio{began: time.Now(), revised: make(chan struct{})}
	s.revise([]connection{{stream: "a", tags: at(0, 3600_000)}})
	x, ok, err := s.next(t.Context(), place{stream: "a"}, nil)
	if !ok || err != nil || x.tag.Timestamp != 0 {
		t.Fatalf("%+v %v %v", x, ok, err)
	}
	x, ok, err = s.next(t.Context(), place{stream: "a", tag: 1}, func() error {
		go s.revise([]connection{{stream: "a", tags: at(0, 1)}})
		return nil
	})
	if !ok || err != nil || x.tag.Timestamp != 1 {
		t.Fatalf("%+v %v %v", x, ok, err)
	}
	if _, ok, err := s.next(t.Context(), place{stream: "a", tag: 2}, nil); ok || err != nil {
		t.Errorf("after the end: %v %v", ok, err)
	}
}
