package readback

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Content is an object opened by Cache: its size and validators are known, its bytes come as they arrive. It belongs to
// one goroutine, which closes it.
type Content struct {
	storage.Object

	ctx    context.Context // of the Open, as Getter has it
	cache  *Cache
	entry  *entry
	pos    int64
	piece  []byte // of an object that is not kept, from an offset on
	from   int64
	lent   int64 // memory for it
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

// passedPiece is how much of an object that is not kept is asked for at a time, in bytes, and leastPiece how much where memory
// is short. Each piece is read at once: a viewer who takes it slowly holds no connection to the store meanwhile.
const (
	passedPiece = 512 << 10
	leastPiece  = 64 << 10
)

// room has memory lent for the pieces of an object that is not kept.
func (c *Content) room() error {
	most := c.cache.o.MaxPassed
	if n := min(passedPiece, c.Size); c.cache.lend(n, most/2) {
		c.lent = n
		return nil
	}
	if n := min(leastPiece, c.Size); c.cache.lend(n, most) {
		c.lent = n
		return nil
	}
	c.cache.Stats.Full.Add(1)
	return ErrFull
}

// readPassed reads from the piece in hand, and asks the store for the next.
func (c *Content) readPassed(p []byte) (int, error) {
	switch {
	case c.closed:
		return 0, errors.New("read of closed content")
	case c.pos >= c.Size:
		return 0, io.EOF
	case c.pos < c.from || c.pos >= c.from+int64(len(c.piece)):
		if err := c.nextPiece(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.piece[c.pos-c.from:])
	c.pos += int64(n)
	return n, nil
}

func (c *Content) nextPiece() error {
	size := min(c.lent, c.Size-c.pos)
	body, o, err := c.cache.src.Get(c.ctx, c.Key, c.pos, size)
	if err != nil {
		return err
	}
	defer body.Close()
	if o.ETag != c.ETag || o.Size != c.Size {
		return errors.New("get " + c.Key + ": the object was replaced while it was read")
	}
	if int64(cap(c.piece)) < size {
		c.piece = make([]byte, size)
	}
	c.piece, c.from = c.piece[:size], c.pos
	if _, err := io.ReadFull(body, c.piece); err != nil {
		c.piece = c.piece[:0]
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("get %s: %w", c.Key, err)
	}
	return nil
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
	c.pos = off
	return off, nil
}

// Close gives the memory free for others.
func (c *Content) Close() error {
	if c.closed {
		return nil
	}
	c.closed, c.piece = true, nil
	if c.lent > 0 {
		c.cache.Stats.Lent.Add(-c.lent)
	}
	c.cache.leave(c.entry)
	return nil
}
