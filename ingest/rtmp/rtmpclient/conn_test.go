package rtmpclient

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// cutOff is a socket whose first write a deadline cuts off after some bytes.
type cutOff struct {
	net.Conn
	after int
	got   []byte
}

func (c *cutOff) Write(p []byte) (int, error) {
	if n := c.after; n > 0 {
		c.after = 0
		c.got = append(c.got, p[:n]...)
		return n, os.ErrDeadlineExceeded
	}
	c.got = append(c.got, p...)
	return len(p), nil
}

func (c *cutOff) SetReadDeadline(time.Time) error { return nil }

// A message that a deadline cut in two is sent to its end before the next: else the server reads the leave-taking as part
// of a picture, and takes an unpublish for a drop.
func TestFlushGoesOnWhereItWasCutOff(t *testing.T) {
	socket := &cutOff{after: 3}
	c := &Conn{net: socket, out: []byte("picture")}
	if err := c.Flush(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	c.out = append(c.out, " leave"...)
	if err := c.Flush(); err != nil || string(socket.got) != "picture leave" {
		t.Errorf("%q, %v", socket.got, err)
	}
}
