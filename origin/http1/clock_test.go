package http1

import (
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"
)

// TestClockStepsMoveNoDeadline sets the wall clock forward and back by an hour under connections of every kind. Those that may wait go on
// waiting, the others end when their time is up, and only the Date field follows.
func TestClockStepsMoveNoDeadline(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			var offset atomic.Int64
			now := func() time.Time { return time.Now().Round(0).Add(time.Duration(offset.Load())) }
			ports(t, Options{Now: now, IdleTimeout: time.Minute, HeaderTimeout: 2 * time.Second, WriteTimeout: time.Second},
				func(t *testing.T, r *rig, port string) {
					offset.Store(0)
					polled, looped, half, slow, held := r.dial(port), r.dial(port), r.dial(port), r.dial(port), r.dial(port)
					get(polled, "/quick")
					get(looped, "/a")
					_, _ = io.WriteString(held, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
					_, _ = fmt.Fprintf(slow, "GET /pieces/%d HTTP/1.1\r\nHost: x\r\n\r\n", 64<<20)
					_, _ = io.WriteString(half, "GET /a HT")
					await(t, "a held request", func() bool { return r.s.Stats().Held.Load() == 1 })
					offset.Store(int64(step))
					await(t, "the end of half a head", func() bool { return r.s.Stats().SlowHeaders.Load() >= 1 })
					await(t, "the end of an answer that nobody takes", func() bool { return r.s.Stats().SlowViewers.Load() >= 1 })
					close(r.echo.hold)
					if got := replies(held, "GET"); len(got) != 1 || got[0].status != 200 {
						t.Errorf("the held request got %v", got)
					}
					for _, c := range []io.ReadWriter{polled, looped} {
						_, _ = io.WriteString(c, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
						head := make([]byte, 15)
						if _, err := io.ReadFull(c, head); err != nil || string(head) != "HTTP/1.1 200 OK" {
							t.Errorf("an idle connection: %q, %v", head, err)
						}
					}
				})
			ports(t, Options{Now: now, IdleTimeout: 200 * time.Millisecond}, func(t *testing.T, r *rig, port string) {
				offset.Store(0)
				c := r.dial(port)
				get(c, "/quick")
				offset.Store(int64(step))
				await(t, "the end of an idle connection", func() bool { return r.s.Stats().Connections.Load() == 0 })
			})
		})
	}
}

func TestDateFollowsTheClock(t *testing.T) {
	var d date
	at := time.Date(2024, 2, 29, 12, 0, 0, 700e6, time.UTC)
	clock := func() time.Time { return at }
	for _, c := range []struct {
		after time.Duration // of the server's time
		at    time.Time
		want  string
	}{
		{0, at, "Thu, 29 Feb 2024 12:00:00 GMT"},
		{299 * time.Millisecond, at.Add(time.Hour), "Thu, 29 Feb 2024 12:00:00 GMT"},
		{300 * time.Millisecond, at.Add(300 * time.Millisecond), "Thu, 29 Feb 2024 12:00:01 GMT"},
		{1300 * time.Millisecond, at.Add(-time.Hour), "Thu, 29 Feb 2024 11:00:00 GMT"},
	} {
		at = c.at
		if got := string(d.append(nil, int64(c.after)+1, clock)); got != "Date: "+c.want+"\r\n" {
			t.Errorf("%v: %q", c.after, got)
		}
	}
}
