package s3

import (
	"errors"
	"io"
	"net"
	"sync"
)

// conn writes bodies in large pieces: each wakes whoever reads them, and that costs more than the bytes. What lies in memory
// is not copied for it. Sendfile is no loss: a body is never seen here as a file, because it must be taken away from the
// transport when a request is over.
type conn struct {
	net.Conn // for https the encrypted one
	d        *dialer
	out      *gathering // below it; nil for http
	pace     pace
	lent     [][]byte
}

// Write writes the records of one piece together: each would be a system call.
func (c *conn) Write(p []byte) (int, error) {
	if c.out == nil || len(p) <= recordSize {
		return c.Conn.Write(p)
	}
	c.out.gather(int64(len(p)))
	n, err := c.Conn.Write(p)
	return n, errors.Join(err, c.out.flush())
}

// ReadFrom is called by the one goroutine that writes to a connection.
func (c *conn) ReadFrom(r io.Reader) (total int64, err error) {
	if l, ok := r.(*io.LimitedReader); ok {
		if b, ok := l.R.(*requestBody); ok && b.lends() {
			return c.borrow(b, l)
		}
	}
	return c.copy(r)
}

// borrow sends a body from where it lies.
func (c *conn) borrow(b *requestBody, l *io.LimitedReader) (total int64, err error) {
	defer func() {
		clear(c.lent[:cap(c.lent)])
		b.back()
	}()
	for l.N > 0 {
		parts, err := b.lend(c, c.lent[:0], min(l.N, c.pace.piece))
		if err != nil {
			return total, err
		}
		if len(parts) == 0 {
			return total, nil // it is shorter than it should be: the transport sees it
		}
		c.lent = parts
		c.pace.begin()
		n, err := c.writeAll(parts)
		c.pace.end()
		total, l.N = total+n, l.N-n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (c *conn) writeAll(parts [][]byte) (total int64, err error) {
	if c.out == nil {
		b := net.Buffers(parts)
		return b.WriteTo(c.Conn)
	}
	c.out.gather(c.pace.piece)
	for _, p := range parts {
		n, err := c.Conn.Write(p)
		total += int64(n)
		if err != nil {
			return total, errors.Join(err, c.out.flush())
		}
	}
	return total, c.out.flush()
}

// copy fills a buffer before it writes it, where net would write whatever it gets.
func (c *conn) copy(r io.Reader) (total int64, err error) {
	b := c.d.buffer(leastPiece)
	defer c.d.giveBack(b)
	for {
		piece := (*b)[:leastPiece]
		n, err := io.ReadFull(r, piece)
		if n > 0 {
			m, err := c.Write(piece[:n])
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

// gathering is a connection that keeps what is written between gather and flush.
type gathering struct {
	net.Conn
	d *dialer

	mu     sync.Mutex
	kept   *[]byte // nil: it keeps nothing
	failed error   // a flush's
}

// gather is told how much comes, before it is encrypted.
func (g *gathering) gather(n int64) {
	b := g.d.buffer(n)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept = b
}

func (g *gathering) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.kept
	if b == nil {
		return g.failed
	}
	g.kept = nil
	if len(*b) > 0 && g.failed == nil {
		_, g.failed = g.Conn.Write(*b)
	}
	g.d.giveBack(b)
	return g.failed
}

func (g *gathering) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.kept != nil {
		*g.kept = append(*g.kept, p...)
		return len(p), nil
	}
	return g.Conn.Write(p)
}
