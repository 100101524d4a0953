package players

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

// studio publishes a show. An encoder that the server cuts off connects again and goes on with the next keyframe, as real
// ones do; how often, the test can ask.
type studio struct {
	app   string // URL
	began time.Time
	wg    sync.WaitGroup
	quit  context.CancelFunc

	mu      sync.Mutex
	refused []string // what the server said, and when
}

// again is how soon an encoder connects again.
const again = 300 * time.Millisecond

// publish begins a show, of which every connection is made at its time. It ends with the test.
func publish(t *testing.T, app string, show []connection) *studio {
	t.Helper()
	ctx, quit := context.WithCancel(context.Background())
	s := &studio{app: app, began: time.Now(), quit: quit}
	for _, c := range show {
		s.wg.Go(func() { s.run(ctx, c) })
	}
	t.Cleanup(s.end)
	return s
}

// now is how far the show has come.
func (s *studio) now() time.Duration { return time.Since(s.began) }

// until waits for a time of the show.
func (s *studio) until(at time.Duration) { time.Sleep(at - s.now()) }

// end cuts off who still publishes.
func (s *studio) end() {
	s.quit()
	s.wg.Wait()
}

// refusals are the times that the server cut an encoder off.
func (s *studio) refusals() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.refused...)
}

func (s *studio) run(ctx context.Context, c connection) {
	for rest := c.tags; len(rest) > 0; {
		if !s.wait(ctx, rest[0].at) {
			return
		}
		left, err := s.send(ctx, c, rest)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		s.refused = append(s.refused, fmt.Sprintf("%s at %.1f s: %v", c.stream, s.now().Seconds(), err))
		s.mu.Unlock()
		rest = resume(c.headers, left, s.now()+again)
	}
}

// resume is what an encoder that was cut off sends when it connects again at a time: the headers, then what is due from the
// next keyframe on.
func resume(headers []rtmpclient.Tag, left []sent, at time.Duration) (rest []sent) {
	for i, x := range left {
		if x.at < at || !key(x.tag) {
			continue
		}
		for _, h := range headers {
			h.Timestamp = x.tag.Timestamp
			rest = append(rest, sent{x.at, h})
		}
		return append(rest, left[i:]...)
	}
	return nil
}

// send publishes over one connection. It gives what was not sent when the connection broke.
func (s *studio) send(ctx context.Context, c connection, tags []sent) ([]sent, error) {
	conn, err := rtmpclient.Dial(ctx, s.app+"/"+c.stream)
	if err != nil {
		return tags, err
	}
	for i, x := range tags {
		if s.now() < x.at {
			if err := conn.Flush(); err != nil {
				conn.Abort()
				return tags[i:], err
			}
			if !s.wait(ctx, x.at) {
				conn.Abort()
				return nil, ctx.Err()
			}
		}
		if err := conn.Write(x.tag); err != nil {
			conn.Abort()
			return tags[i:], err
		}
	}
	err = conn.Flush()
	if c.cut || err != nil {
		conn.Abort()
		return nil, err
	}
	return nil, conn.Close()
}

// wait is for a time of the show, and reports whether it came.
func (s *studio) wait(ctx context.Context, at time.Duration) bool {
	timer := time.NewTimer(at - s.now())
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func TestResume(t *testing.T) {
	headers := []rtmpclient.Tag{{Type: 9, Data: []byte{0x17, 0}}}
	left := []sent{
		{1 * time.Second, rtmpclient.Tag{Type: 9, Timestamp: 1000, Data: []byte{0x17, 1}}},
		{2 * time.Second, rtmpclient.Tag{Type: 9, Timestamp: 2000, Data: []byte{0x27, 1}}},
		{3 * time.Second, rtmpclient.Tag{Type: 8, Timestamp: 3000, Data: []byte{0xaf, 1}}},
		{4 * time.Second, rtmpclient.Tag{Type: 9, Timestamp: 4000, Data: []byte{0x17, 1}}},
	}
	got := resume(headers, left, 1500*time.Millisecond)
	if len(got) != 2 || got[0].tag.Data[1] != 0 || got[0].tag.Timestamp != 4000 || got[0].at != 4*time.Second || !key(got[1].tag) {
		t.Errorf("it goes on with %+v", got)
	}
	if got := resume(headers, left, 5*time.Second); got != nil {
		t.Errorf("after the end it goes on with %+v", got)
	}
}
