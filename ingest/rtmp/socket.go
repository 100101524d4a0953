package rtmp

import (
	"errors"
	"os"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// socket is what the chunk reader reads from.
type socket struct{ *conn }

// Read reads the socket. The deadline is not moved with each read: when it passes although bytes came in time, it is set anew.
func (s socket) Read(p []byte) (int, error) {
	c := s.conn
	for {
		var n int
		var err error
		if c.pace.usual > 0 {
			n, err = c.readBatch(p)
		} else {
			n, err = c.Conn.Read(p)
		}
		if n > 0 {
			c.arrival = c.opts.Now()
			c.received += uint64(n)
			c.server.Stats.BytesIn.Add(uint64(n))
			c.server.Stats.Reads.Add(1)
			if c.received-c.acked >= c.ackEvery && c.handshake == 0 {
				c.acknowledge()
			}
			if c.session == nil && c.received-c.strayFrom > maxStray {
				return 0, errStray
			}
			return n, nil
		}
		if err == nil {
			if c.pace.usual > 0 {
				return 0, nil // there will be more after the next Wait
			}
			continue
		}
		if cause := c.cancelled(); cause != nil {
			return 0, cause
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
		until, late := c.setUntil, errSetup
		if c.session != nil {
			until, late = c.arrival.Add(c.opts.IdleTimeout), errIdle
		}
		if !c.opts.Now().Before(until) {
			return 0, late
		}
		c.extend(until)
	}
}

// Wait waits for the next instant to read at. All connections wake at the same instants, so that the process wakes once for all of them. A
// read that filled its buffer is followed by another at once.
func (s socket) Wait() {
	c := s.conn
	if c.pace.usual == 0 || c.more {
		return
	}
	now := c.opts.Now().Sub(c.server.epoch)
	time.Sleep(c.pace.next(now, ingest.Awaited(c.session)) - now)
}

// gather begins, goes on with or ends the gathering of bytes in the kernel, for a new publish.
func (c *conn) gather(encrypted bool) {
	was := c.pace.usual
	c.pace = pace{}
	if c.opts.Coalesce != nil && !encrypted {
		usual, urgent := c.opts.Coalesce()
		c.pace.usual, c.pace.urgent = max(usual, 0), max(urgent, 0)
	}
	switch usual := c.pace.usual; {
	case was == 0 && usual > 0:
		c.batch = newBatch(c.Conn)
	case usual == 0 && c.batch != nil:
		c.batch.end()
		c.batch = nil
	}
}

// readBatch reads what has gathered.
func (c *conn) readBatch(p []byte) (n int, err error) {
	if c.batch != nil {
		n, err = c.batch.Read(p)
	} else {
		n, err = c.Conn.Read(p)
	}
	c.more = n == len(p)
	return n, err
}
