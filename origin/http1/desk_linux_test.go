package http1

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// scripted answers as a test says.
type scripted struct {
	echo
	answer func(*Request, *Response)
}

func (s *scripted) Answer(_ context.Context, req *Request, res *Response) { s.answer(req, res) }

// script is a server whose pollers answer everything.
func script(t *testing.T, opts Options, answer func(*Request, *Response)) *rig {
	t.Helper()
	r := &rig{t: t}
	opts.Handler, opts.Quick = &scripted{answer: answer}, func(*Request) bool { return true }
	r.s = New(opts)
	r.plain = r.serve(r.s.Serve)
	return r
}

func ask(t *testing.T, c net.Conn, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if _, err := io.WriteString(c, "GET "+p+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
}

// A request that was held is asked again once, whatever its answer consists of, and its outcome says that it was held.
func TestHeldIsAnsweredOnce(t *testing.T) {
	const size = 200_000
	bodies := map[string]func(*Response){
		"pieces": func(res *Response) { res.Pieces = pieces(size) },
		"file":   func(res *Response) { res.File = io.NopCloser(strings.NewReader(strings.Repeat("f", size))) },
		"bytes":  func(res *Response) { res.Bytes = []byte(strings.Repeat("b", size)) },
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			hold := make(chan struct{})
			var asked, held atomic.Int64
			r := script(t, Options{Done: func(o Outcome) {
				if o.Held {
					held.Add(1)
				}
			}}, func(req *Request, res *Response) {
				select {
				case <-hold:
				default:
					res.Hold, res.HoldFor = hold, time.Minute
					return
				}
				asked.Add(1)
				res.Status, res.Length = 200, size
				res.Add("Content-Length", "200000")
				body(res)
			})
			c := r.dial("plain")
			ask(t, c, "/x")
			await(t, "it is held", func() bool { return r.s.stats.parked.Load() == 1 })
			close(hold)
			if got := replies(c, "GET"); len(got) != 1 || len(got[0].body) != size {
				t.Fatal("no whole answer")
			}
			ask(t, c, "/y", "/z") // and the connection goes on
			if got := replies(c, "GET", "GET"); len(got) != 2 || len(got[1].body) != size {
				t.Fatal("no whole answer to what came next")
			}
			await(t, "all is told", func() bool { return held.Load() == 1 })
			if n := asked.Load(); n != 3 {
				t.Errorf("3 requests were answered %d times", n)
			}
		})
	}
}

// A handler that panics while it answers a held request leaves nothing counted.
func TestPanicAfterTheHold(t *testing.T) {
	hold := make(chan struct{})
	r := script(t, Options{Warn: func(string, string, string, ...any) {}}, func(_ *Request, res *Response) {
		select {
		case <-hold:
			panic("the test wants it")
		default:
			res.Hold, res.HoldFor = hold, time.Minute
		}
	})
	c := r.dial("plain")
	ask(t, c, "/x")
	await(t, "it is held", func() bool { return r.s.stats.parked.Load() == 1 })
	close(hold)
	await(t, "it is dismissed", func() bool { return r.s.stats.Connections.Load() == 0 })
	if h, p := r.s.stats.Held.Load(), r.s.stats.parked.Load(); h != 0 || p != 0 {
		t.Errorf("%d are held, %d without a goroutine", h, p)
	}
}
