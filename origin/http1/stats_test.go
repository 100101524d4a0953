package http1

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
)

// TestBytesAreEstimatedFromAbove opens many connections of each kind and measures their memory. The clients' ends are in the same process
// and take about as much again.
func TestBytesAreEstimatedFromAbove(t *testing.T) {
	const n = 200
	for _, c := range []struct {
		name, port, path string
		rest             bool // the end of the request is not sent
		held             int
	}{
		{"polled", "plain", "/quick", false, 0},
		{"half a head", "plain", "/a", true, 0},
		{"TLS", "TLS", "/a", false, 0},
		{"held", "plain", "/hold", false, n},
		{"held over TLS", "TLS", "/hold", false, n},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			weigh := func() int64 {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return int64(m.HeapInuse + m.StackInuse)
			}
			before, counted := weigh(), r.s.Bytes()
			var conns []net.Conn
			for range n {
				conn := r.dial(c.port)
				conns = append(conns, conn)
				text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", c.path)
				if c.rest {
					text = text[:len(text)-4]
				}
				_, _ = io.WriteString(conn, text)
				if !c.rest && c.held == 0 {
					buf := make([]byte, 512)
					if _, err := conn.Read(buf); err != nil {
						t.Fatal(err)
					}
				}
			}
			await(t, "all to be there", func() bool {
				return r.s.Stats().Connections.Load() == n && r.s.Stats().Held.Load() == int64(c.held)
			})
			weight, said := (weigh()-before)/n, (r.s.Bytes()-counted)/n
			t.Logf("%d bytes each with the client's end, %d are counted", weight, said)
			if said < 1<<10 || weight > 2*said+4<<10 {
				t.Errorf("%d bytes each, only %d are counted", weight, said)
			}
			close(r.echo.hold)
			for _, c := range conns {
				_ = c.Close()
			}
			await(t, "nothing to be left", func() bool { return r.s.Bytes() <= counted+r.s.heads.bytes() })
		})
	}
}
