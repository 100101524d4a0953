package rtmpclient

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
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

// A message that a deadline cut in two is completed before the next: otherwise the server reads the commands that end the stream as part of
// a picture, and takes an unpublish for a drop.
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

// A cancelled publisher still ends its stream properly: a deadline that has passed ends a write, not the connection.
func TestLeaveAfterADeadline(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	got := make(chan []byte, 1)
	go func() {
		n, err := l.Accept()
		if err != nil {
			got <- nil
			return
		}
		b, _ := io.ReadAll(n)
		_ = n.Close()
		got <- b
	}()
	n, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{net: n, chunks: chunk.NewReader(n, nil, chunk.Limits{}), name: "cam"}
	c.reader.Go(c.read)
	_ = n.SetWriteDeadline(time.Unix(1, 0))
	if err := c.Flush(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if b := <-got; !bytes.Contains(b, []byte("deleteStream")) {
		t.Errorf("the server saw %q", b)
	}
}
