package rtsp

import (
	"net"
	"sync"
	"time"
)

// listener gives every connection a deadline by which it must record. The protocol library has none: a connection
// that asks for nothing, or one byte a minute, would stay for ever.
type listener struct {
	net.Listener
	handshake time.Duration
}

func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, handshake: l.handshake}
	c.idle()
	return c, nil
}

// conn is a connection whose reading is under a deadline as long as it does not record. The deadline is for the whole
// of the handshake, not for each read.
type conn struct {
	net.Conn
	handshake time.Duration

	mu        sync.Mutex
	deadline  time.Time // while not recording
	recording bool
	readErr   error
}

// idle starts the time that the connection has to begin recording.
func (c *conn) idle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recording = false
	c.deadline = time.Now().Add(c.handshake)
	_ = c.Conn.SetReadDeadline(c.deadline) // fails on a closed connection only
}

// record lifts the deadline: from now on silence is judged by the session.
func (c *conn) record() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recording = true
	_ = c.Conn.SetReadDeadline(time.Time{})
}

// SetReadDeadline is called by the protocol library, and means "no deadline" with its zero value.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.recording && (t.IsZero() || t.After(c.deadline)) {
		t = c.deadline
	}
	return c.Conn.SetReadDeadline(t)
}

// Read remembers why reading failed: the library tells the session only that its connection is gone.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.mu.Lock()
		c.readErr = err
		c.mu.Unlock()
	}
	return n, err
}

func (c *conn) lastError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.readErr
}
