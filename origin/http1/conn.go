package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// conn is a connection that bounds how long a write may go without progress. The time counts from the last byte that was taken, never over
// the whole answer: a slow client is welcome, a stuck one is dropped. TLS is layered above it.
type conn struct {
	net.Conn
	s      *Server
	of     *visitor    // its visitor
	armed  int64       // when the write deadline was last set, in Server.now
	last   atomic.Bool // what is written now is a goodbye: nobody waits for it
	closed atomic.Bool
	done   func() // tells the server that the connection is closed
	// revoked reports that the memory of what is being sent is wanted back; nil: never. It is called at each deadline, so that only slow
	// clients are dropped.
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

// ReadFrom lets the kernel send a file. Anything else is copied.
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

// writeBuffers writes many slices with few system calls; it consumes v.
func (c *conn) writeBuffers(v *net.Buffers) (n int64, err error) {
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

// writerOnly hides ReadFrom, so that io.Copy does not call it again.
type writerOnly struct{ io.Writer }

// errRevoked ends the connection of a slow client because the memory of its answer is wanted back.
var errRevoked = errors.New("the memory of the answer is needed")

// progress repeats a resumable write until it is done, fails, or a whole WriteTimeout passes without a byte. It renews the deadline only
// after half of it has passed: most writes find it far away.
func (c *conn) progress(write func() (int64, error)) error {
	limit := c.s.opts.WriteTimeout
	if c.last.Load() {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(min(limit, lastWords))); err != nil {
			return err
		}
		_, err := write()
		return err
	}
	for {
		fresh := false
		if now := c.s.now(); c.armed == 0 || now-c.armed > int64(limit/2) {
			c.armed, fresh = now, true
			if err := c.Conn.SetWriteDeadline(time.Now().Add(limit)); err != nil {
				return err
			}
		}
		n, err := write()
		switch {
		case err == nil || !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case n == 0 && fresh:
			c.s.stats.SlowViewers.Add(1)
			return err
		case c.revoked != nil && c.revoked():
			c.s.stats.Revoked.Add(1)
			return errRevoked
		}
		c.armed = 0 // something was taken, or the deadline was an old one: a whole new timeout
	}
}

// lastWords is how long TLS may take to say goodbye.
const lastWords = 100 * time.Millisecond

func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	c.s.stats.Connections.Add(-1)
	err := c.Conn.Close()
	c.done()
	return err
}
