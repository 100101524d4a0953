package rtsp

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
)

const (
	// maxRaw bounds the bytes kept of a request that is being read, enough for its line and headers.
	maxRaw = 4096
	// lingerTime and lingerBytes bound what is read and discarded from a refused encoder. A connection that is closed with unread bytes is
	// reset, and the reason may be lost with it.
	lingerTime  = time.Second
	lingerBytes = 256 << 10
	// maxRequests and maxUnrecorded bound the requests of a connection, and their bytes, while it does not record. An encoder needs about
	// ten requests.
	maxRequests   = 64
	maxUnrecorded = 1 << 20
)

var errFlood = fmt.Errorf("a connection may send %d requests, and %d KiB, without recording", maxRequests, maxUnrecorded>>10)

// listener gives every connection a deadline by which it must record. The protocol library has none: a connection that requests nothing, or
// sends one byte a minute, would stay forever.
type listener struct {
	net.Listener
	handshake time.Duration
	memory    *ingest.Memory
	quit      <-chan struct{} // closed when the server stops
}

func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, handshake: l.handshake, memory: l.memory, claim: ingest.Message{Quit: l.quit}}
	c.idle()
	return c, nil
}

// conn is a connection with a read deadline for as long as it does not record. The deadline covers the whole handshake, not each read.
//
// It also holds back the library's bare refusals until their reason is known: the library sends "400 Bad Request", and gives the reason
// only after it has closed the connection. So Close leaves the connection open for finish, which must follow.
type conn struct {
	net.Conn
	handshake time.Duration
	memory    *ingest.Memory
	claim     ingest.Message // of a body or frame that is being read
	claimed   bool

	dialogue // of the goroutine that handles the connection's requests

	mu        sync.Mutex
	deadline  time.Time // unless it records
	recording bool
	requests  int // since it does not record
	bytes     int // since then
	readErr   error
	raw       []byte                         // beginning of what was read since the last complete request, unless it records
	owed      func(err error) *base.Response // makes the answer that was held back
	refused   bool                           // the newest answer is a refusal
	evicted   bool                           // its unfinished message had to make room
	noted     atomic.Bool                    // somebody was told so
}

// idle starts the time in which the connection must begin to record.
func (c *conn) idle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recording, c.requests, c.bytes = false, 0, 0
	listen.Settle(c.Conn, false)
	if c.evicted {
		return
	}
	c.deadline = time.Now().Add(c.handshake)
	_ = c.Conn.SetReadDeadline(c.deadline) // fails only on a closed connection
}

// record removes the deadline: from now on the session watches for silence.
func (c *conn) record() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recording, c.raw = true, nil
	listen.Settle(c.Conn, true)
	if c.evicted {
		return
	}
	_ = c.Conn.SetReadDeadline(time.Time{})
}

// SetReadDeadline is called by the protocol library, whose zero value means "no deadline".
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.evicted {
		return nil
	}
	if !c.recording && (t.IsZero() || t.After(c.deadline)) {
		t = c.deadline
	}
	return c.Conn.SetReadDeadline(t)
}

// Read remembers why reading failed: the library tells the session only that its connection is gone. If the library reads on, a refusal did
// not end the connection.
func (c *conn) Read(b []byte) (int, error) {
	c.settle(nil)
	if err := c.reserve(len(b)); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.readErr = err
		return 0, err
	}
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.evicted && err != nil {
		err = ingest.ErrMemory // not the time-out by which it got to know
	}
	if !c.recording {
		c.raw = append(c.raw, b[:min(n, maxRaw-len(c.raw))]...)
		if c.bytes += n; c.bytes > maxUnrecorded || c.requests > maxRequests {
			n, err = 0, errFlood
		}
	}
	if err != nil {
		c.readErr = err
	}
	return n, err
}

// libraryBuffer is the size of the library's own buffer in bytes. It reads more at once only to fill a body or frame whose length the peer
// stated, and for which it has already allocated memory.
const libraryBuffer = 4 << 10

// reserve claims memory for what is being read.
func (c *conn) reserve(n int) error {
	if n <= libraryBuffer {
		if c.claimed {
			c.memory.Give(&c.claim)
			c.claimed = false
		}
		return nil
	}
	if c.claimed {
		return nil
	}
	c.claimed = true
	return c.memory.Take(&c.claim, int64(n), c.evict)
}

// evict ends the connection: its unfinished message has to make room.
func (c *conn) evict(error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evicted = true
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
}

// Write holds back the library's answer if ours is to replace it. The library's receiver reports go through.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	keep := c.owed != nil && bytes.HasPrefix(b, []byte("RTSP/"))
	c.mu.Unlock()
	if keep {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// answered records an answer that the library is about to send. If instead is not nil, its result is sent in place of the answer, once it
// is known with which error the connection ends, or that it goes on.
func (c *conn) answered(status base.StatusCode, instead func(err error) *base.Response) {
	c.settle(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owed, c.refused = instead, status >= base.StatusBadRequest
}

// settle sends the answer that was held back, if any.
func (c *conn) settle(err error) {
	c.mu.Lock()
	answer := c.owed
	c.owed = nil
	c.mu.Unlock()
	if answer == nil {
		return
	}
	if b, err := answer(err).Marshal(); err == nil {
		_, _ = c.Conn.Write(b) // with the deadline that the library set for its own
	}
}

// Close ends reading. It closes the connection unless an answer is still to be sent.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recording && c.owed == nil {
		return c.Conn.Close()
	}
	c.recording, c.deadline = false, time.Unix(1, 0)
	return c.Conn.SetReadDeadline(c.deadline)
}

// finish closes the connection for good. err is why the library ended it. finish sends the answer that was held back, or what unread
// returns for a request that could not be read completely; nil sends nothing. wait allows time for the encoder to read it.
func (c *conn) finish(err error, unread func(raw []byte) *base.Response, wait bool) {
	c.settle(err)
	c.mu.Lock()
	refused, raw := c.refused, c.raw
	c.mu.Unlock()
	if res := unread(raw); len(raw) > 0 && res != nil {
		b, _ := res.Marshal()
		_ = c.Conn.SetWriteDeadline(time.Now().Add(lingerTime))
		_, werr := c.Conn.Write(b)
		refused = werr == nil
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && refused && wait && half.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
	_ = c.Conn.Close()
	c.memory.Give(&c.claim)
}

func (c *conn) lastError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.readErr
}

// read records that a request was read completely.
func (c *conn) read() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = c.raw[:0]
	c.requests++
}
