package s3

import (
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// conn writes bodies in large pieces: each piece wakes its reader, and that costs more than the bytes. It does not copy what is in memory.
// Not using sendfile is no loss: a body is never seen here as a file, because it must be taken away from the transport when a request is
// over.
type conn struct {
	net.Conn // for https, the encrypted one
	d        *dialer
	out      *gathering // beneath it; nil for http
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
	return n, errors.Join(err, c.out.flush(nil))
}

// Close closes an encrypted connection from below: a TLS goodbye would wait for the piece that is being written, which waits for the
// request to end, which waits for Close.
func (c *conn) Close() error {
	if c.out == nil {
		return c.Conn.Close()
	}
	err := c.out.Conn.Close()
	_ = c.Conn.Close() // its result was already returned
	return err
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

// borrow sends a body directly from its memory.
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
			return total, nil // it is shorter than it should be: the transport notices
		}
		c.lent = parts
		c.pace.begin()
		n, err := c.writeAll(b, parts)
		c.pace.end()
		total, l.N = total+n, l.N-n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (c *conn) writeAll(b *requestBody, parts [][]byte) (total int64, err error) {
	if c.out == nil {
		return c.d.push(c.Conn, b, parts)
	}
	c.out.gather(c.pace.piece)
	for _, p := range parts {
		n, err := c.Conn.Write(p)
		total += int64(n)
		if err != nil {
			return total, errors.Join(err, c.out.flush(nil))
		}
	}
	return total, c.out.flush(b)
}

// push writes a piece of a body, and tells the body whenever some of it has moved, even if the kernel has only sent what it already had: a
// piece that takes long is no stall. It ends with the body.
func (d *dialer) push(to net.Conn, b *requestBody, data net.Buffers) (total int64, err error) {
	unsent := math.MaxInt
	for {
		if err := to.SetWriteDeadline(d.now().Add(b.stall / 4)); err != nil {
			return total, err
		}
		n, err := data.WriteTo(to)
		total += n
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return total, errors.Join(err, to.SetWriteDeadline(time.Time{}))
		}
		left := unacknowledged(to)
		if !b.moved(n > 0 || left < unsent) {
			return total, http.ErrBodyReadAfterClose
		}
		unsent = left
	}
}

// copy fills a buffer before it writes it, while net would write whatever it gets.
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

// gathering is a connection that buffers what is written between gather and flush.
type gathering struct {
	net.Conn
	d *dialer

	mu     sync.Mutex
	kept   *[]byte // nil: it buffers nothing
	failed error   // of a flush
}

// gather is told how much is coming, before it is encrypted.
func (g *gathering) gather(n int64) {
	b := g.d.buffer(n)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept = b
}

// flush writes what was buffered, as a piece of a body or, with nil, of something else.
func (g *gathering) flush(body *requestBody) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.kept
	if b == nil {
		return g.failed
	}
	g.kept = nil
	switch {
	case len(*b) == 0 || g.failed != nil:
	case body == nil:
		_, g.failed = g.Conn.Write(*b)
	default:
		_, g.failed = g.d.push(g.Conn, body, net.Buffers{*b})
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
