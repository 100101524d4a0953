package readback

import (
	"context"
	"errors"
	"github.com/hlsorigin/hlsorigin/storage"
	"io"
)

// Content is an object opened by Cache: its size and validators are known, its bytes come as they arrive. It belongs to
// one goroutine, which closes it.
type Content struct {
	storage.Object

	ctx    context.Context // of the Open, as Getter has it
	cache  *Cache
	entry  *entry
	pos    int64
	body   io.ReadCloser // of an object that is not kept, at pos
	closed bool
}

var _ io.ReadSeekCloser = (*Content)(nil)

// Read waits for at least one byte.
func (c *Content) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.entry.passed {
		return c.readPassed(p)
	}
	data, err := c.next()
	n := copy(p, data)
	c.pos += int64(n)
	return n, err
}

// WriteTo writes the rest without copying it, as io.WriterTo.
func (c *Content) WriteTo(w io.Writer) (total int64, err error) {
	if c.entry.passed {
		return io.Copy(w, struct{ io.Reader }{c})
	}
	for {
		data, err := c.next()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(data)
		c.pos += int64(n)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// next waits for bytes behind pos.
func (c *Content) next() ([]byte, error) {
	if c.closed {
		return nil, errors.New("read of closed content")
	}
	e := c.entry
	for {
		e.mu.Lock()
		filled, err, more := e.filled, e.err, e.more
		e.mu.Unlock()
		switch {
		case c.pos < filled:
			return e.data[c.pos:filled], nil
		case c.pos >= c.Size:
			return nil, io.EOF
		case err != nil:
			return nil, err
		}
		select {
		case <-more:
		case <-c.ctx.Done():
			return nil, context.Cause(c.ctx)
		}
	}
}

func (c *Content) readPassed(p []byte) (int, error) {
	switch {
	case c.closed:
		return 0, errors.New("read of closed content")
	case c.pos >= c.Size:
		return 0, io.EOF
	case c.body == nil:
		body, o, err := c.cache.src.Get(c.ctx, c.Key, c.pos, -1)
		if err != nil {
			return 0, err
		}
		if o.ETag != c.ETag || o.Size != c.Size {
			body.Close()
			return 0, errors.New("get " + c.Key + ": the object was replaced while it was read")
		}
		c.body = body
	}
	n, err := c.body.Read(p)
	if c.pos += int64(n); err == io.EOF && c.pos < c.Size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Seek costs nothing until the next Read.
func (c *Content) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += c.pos
	case io.SeekEnd:
		off += c.Size
	}
	if off < 0 {
		return c.pos, errors.New("seek before the start")
	}
	if off != c.pos && c.body != nil {
		c.body.Close()
		c.body = nil
	}
	c.pos = off
	return off, nil
}

// Close gives the memory free for others.
func (c *Content) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	if c.body != nil {
		c.body.Close()
	}
	c.cache.leave(c.entry)
	return nil
}
