package s3

import (
	"context"
	"io"
	"net"
	"time"
)

// dial opens a connection whose send buffer holds little that is not on its way yet. Without that the kernel swallows a
// whole segment at once, and on a slow uplink the watchdog would see one jump and then a silence.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: limitUnsent}
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// conn copies bodies through a buffer that it keeps, where net would make one for each. Sendfile is no loss: a body is
// never seen here as a file, because it must be taken away from the transport when a request is over.
type conn struct {
	net.Conn
	buf []byte
}

// copyBuffer is half of what may be unsent.
const copyBuffer = 64 << 10

// ReadFrom is called by the one goroutine that writes to a connection.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if c.buf == nil {
		c.buf = make([]byte, copyBuffer)
	}
	return io.CopyBuffer(struct{ io.Writer }{c.Conn}, struct{ io.Reader }{r}, c.buf)
}
