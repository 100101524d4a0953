package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
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

// dialTLS is dial for https. The settings are shared, and not changed.
func dialTLS(settings *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		o := &tls.Config{MinVersion: tls.VersionTLS12}
		if settings != nil {
			o = settings.Clone()
		}
		if o.ServerName == "" {
			if o.ServerName, _, err = net.SplitHostPort(addr); err != nil {
				c.Close()
				return nil, err
			}
		}
		o.DynamicRecordSizingDisabled = true // it is for browsers, who wait for the first bytes
		g := &gathering{Conn: c}
		s := tls.Client(g, o)
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		if err := s.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, err
		}
		return &conn{Conn: &secured{Conn: s, out: g}}, nil
	}
}

// conn copies bodies through a buffer that it keeps and fills, where net would make one for each, and write each piece of
// a segment by itself. Sendfile is no loss: a body is never seen here as a file, because it must be taken away from the
// transport when a request is over.
type conn struct {
	net.Conn
	buf []byte
}

// copyBuffer is what may be unsent.
const copyBuffer = 128 << 10

// ReadFrom is called by the one goroutine that writes to a connection.
func (c *conn) ReadFrom(r io.Reader) (total int64, err error) {
	if c.buf == nil {
		c.buf = make([]byte, copyBuffer)
	}
	for {
		n, err := io.ReadFull(r, c.buf)
		if n > 0 {
			m, err := c.Conn.Write(c.buf[:n])
			total += int64(m)
			if err != nil {
				return total, err
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), err == io.ErrUnexpectedEOF: // ReadFull's own: less than a buffer was left
			return total, nil
		default:
			return total, err
		}
	}
}

// secured writes the records of one Write together: each would be a system call.
type secured struct {
	*tls.Conn
	out *gathering
}

func (s *secured) Write(p []byte) (int, error) {
	s.out.gather()
	n, err := s.Conn.Write(p)
	return n, errors.Join(err, s.out.flush())
}

// gathering is a connection that keeps what is written between gather and flush.
type gathering struct {
	net.Conn

	mu     sync.Mutex
	keeps  bool
	kept   []byte
	failed error // a flush's
}

func (g *gathering) gather() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keeps = true
}

func (g *gathering) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keeps = false
	if len(g.kept) > 0 && g.failed == nil {
		_, g.failed = g.Conn.Write(g.kept)
	}
	g.kept = g.kept[:0]
	return g.failed
}

func (g *gathering) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keeps {
		g.kept = append(g.kept, p...)
		return len(p), nil
	}
	return g.Conn.Write(p)
}
