package origin

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// conn is a viewer's connection that bounds how long a write may go without progress. The time is counted from the last
// byte that was taken, never over the whole answer: a slow viewer is welcome, one that stands still is dropped.
type conn struct {
	net.Conn
	o      *Origin
	armed  time.Time // when the write deadline was last set
	closed atomic.Bool
	done   func() // tells the server that the connection is closed
	// revoked reports that the memory of what is being sent is wanted back; nil: it never is. A slow viewer is asked about it at
	// each deadline.
	revoked func() bool
}

func (c *conn) Write(b []byte) (n int, err error) {
	err = c.progress(func() (int64, error) {
		m, err := c.Conn.Write(b[n:])
		n += m
		return int64(m), err
	})
	return n, err
}

// ReadFrom lets the kernel send a file. What is neither a file nor fits a plain copy goes the usual way.
func (c *conn) ReadFrom(r io.Reader) (n int64, err error) {
	to, ok := c.Conn.(io.ReaderFrom)
	if !ok {
		return io.Copy(writerOnly{c}, r)
	}
	if l, ok := r.(*io.LimitedReader); !ok {
		return io.Copy(writerOnly{c}, r)
	} else if _, ok := l.R.(*os.File); !ok {
		return io.Copy(writerOnly{c}, r) // a timeout in the middle of a copy would lose what was read but not yet written
	}
	err = c.progress(func() (int64, error) {
		m, err := to.ReadFrom(r)
		n += m
		return m, err
	})
	return n, err
}

// WriteBuffers writes many slices with few system calls; it consumes v.
func (c *conn) WriteBuffers(v *net.Buffers) (n int64, err error) {
	own, _ := c.Conn.(interface {
		writeBuffers(*net.Buffers) (int64, error)
	})
	err = c.progress(func() (m int64, err error) {
		if own != nil {
			m, err = own.writeBuffers(v)
		} else {
			m, err = v.WriteTo(c.Conn)
		}
		n += m
		return m, err
	})
	return n, err
}

// writerOnly hides ReadFrom, so that io.Copy does not come back to it.
type writerOnly struct{ io.Writer }

// errRevoked ends the connection of a viewer who is still at a segment that left the window, when its memory is needed.
var errRevoked = errors.New("the memory of the segment is needed")

// progress repeats a write that can be resumed until it is done, fails, or a whole WriteTimeout passes without a byte.
// The deadline is set anew only when half of it is gone: most writes find it far away.
func (c *conn) progress(write func() (int64, error)) error {
	limit := c.o.opts.WriteTimeout
	for {
		fresh := false
		if now := c.o.opts.Now(); now.Sub(c.armed) > limit/2 {
			c.armed, fresh = now, true
			if err := c.Conn.SetWriteDeadline(now.Add(limit)); err != nil {
				return err
			}
		}
		n, err := write()
		switch {
		case err == nil || !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case n == 0 && fresh:
			c.o.stats.SlowViewers.Add(1)
			return err
		case c.revoked != nil && c.revoked():
			c.o.stats.Revoked.Add(1)
			return errRevoked
		}
		c.armed = time.Time{} // something was taken, or the deadline was an old one: a whole new time-out
	}
}

func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	c.o.stats.Connections.Add(-1)
	err := c.Conn.Close()
	c.done()
	return err
}
