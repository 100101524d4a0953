package rtmp

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/flv"
)

// door is what a connection needs from the server.
type door struct {
	authorize func(ingest.Request) (ingest.Grant, error)
	publish   func(ingest.Announce) (ingest.Session, error)
	leave     func(*conn)
}

// conn is one connection: the guard that go-rtmp reads from and writes to, and the handler of its callbacks. All methods run on the
// connection's one goroutine, except Write, which go-rtmp calls from another, and cancel.
type conn struct {
	net.Conn // the socket
	server   *Server
	opts     *Options
	log      *slog.Logger
	door     door

	// reading
	chunks    *chunk.Reader
	handshake int    // bytes of it still to come
	version   bool   // its first byte has been seen
	in        []byte // what go-rtmp has yet to read
	inBuf     []byte
	arrival   time.Time // of the newest bytes
	pace      pace      // Options.Coalesce of what it published last
	batch     *batch    // reads them, where the system can
	more      bool      // the newest read filled its buffer
	received  uint64    // bytes
	acked     uint64    // bytes acknowledged
	ackEvery  uint64    // bytes
	commands  int       // since the last media message
	strayFrom uint64    // bytes received when publishing last ended: see maxStray
	setUntil  time.Time // when a connection that does not publish ends

	// publishing
	app, tcURL  string
	transaction float64 // of the command that go-rtmp is handling
	streamID    uint32
	session     ingest.Session // nil while nothing is published
	demux       *flv.Demuxer
	stream      string
	since       time.Time

	// writing
	wmu    sync.Mutex
	muted  bool   // nothing is written any more
	sent   int    // bytes of the handshake's answer
	answer []byte // the part of the handshake's answer that waits
	out    []byte

	// ending
	cmu    sync.Mutex
	cause  error         // why the connection is to end; the first cause counts
	over   bool          // the reader has noticed
	linger bool          // the peer has yet to read why
	quit   chan struct{} // closed when cancel is the first to say so
	once   sync.Once
}

// lastWrite is how long a connection may still write when it ends.
const lastWrite = time.Second

// handshakeSize is the size of C0, C1 and C2 (section 5.2), and of S0, S1 and S2.
const handshakeSize = 1 + 1536 + 1536

func newConn(s *Server, n net.Conn, d door) *conn {
	now := s.opts.Now()
	c := &conn{
		Conn: n, server: s, opts: &s.opts, door: d,
		log:       s.opts.Log.With("remote", n.RemoteAddr().String()),
		handshake: handshakeSize, quit: make(chan struct{}),
		arrival: now, setUntil: now.Add(s.opts.SetupTimeout),
		ackEvery: uint64(max(s.opts.AckWindow/2, minAck)),
	}
	c.chunks = chunk.NewReader(socket{c}, make([]byte, strangerBuffer), s.opts.strangerLimits())
	c.chunks.Account(s.opts.Memory, c.cancel, c.quit)
	_ = n.SetReadDeadline(c.setUntil)
	s.Stats.Accepted.Add(1)
	s.Stats.Connections.Add(1)
	return c
}

var (
	errSetup     = errors.New("it did not publish in time")
	errIdle      = errors.New("it went silent")
	errPanic     = errors.New("internal error")
	errRefused   = errors.New("refused")
	errNotRTMP   = fmt.Errorf("%w: the first byte is not version 3", chunk.ErrProtocol)
	errStray     = fmt.Errorf("%w: too much that belongs to no stream", chunk.ErrLimit)
	errCommands  = fmt.Errorf("%w: too many commands", chunk.ErrLimit)
	errBadAMF    = fmt.Errorf("%w: bad command", chunk.ErrProtocol)
	errAggregate = fmt.Errorf("%w: bad aggregate message", chunk.ErrProtocol)
)

// cancel ends the connection with cause. It does not wait. It may be called from any goroutine, any number of times.
func (c *conn) cancel(cause error) {
	if cause == nil {
		cause = errRefused
	}
	c.cmu.Lock()
	defer c.cmu.Unlock()
	if c.cause == nil {
		c.cause = cause
		close(c.quit)
	}
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
	_ = c.Conn.SetWriteDeadline(c.opts.Now().Add(lastWrite)) // for a write that already hangs
}

// cancelled returns the cause given to cancel.
func (c *conn) cancelled() error {
	c.cmu.Lock()
	defer c.cmu.Unlock()
	return c.cause
}

// extend moves the read deadline, unless the connection is to end.
func (c *conn) extend(until time.Time) {
	c.cmu.Lock()
	defer c.cmu.Unlock()
	if c.cause == nil {
		_ = c.Conn.SetReadDeadline(until)
	}
}

// fail records why reading ends, tells the peer if that helps, and returns the error for go-rtmp to end with. The first cause counts.
func (c *conn) fail(err error) error {
	c.cmu.Lock()
	ours := c.cause != nil // by cancel, or by an earlier call
	if !ours {
		c.cause = err
	}
	first, err := !c.over, c.cause
	c.over = true
	c.cmu.Unlock()
	if !first {
		return err
	}
	var refusal *ingest.Refusal
	stats := &c.server.Stats
	switch {
	case errors.As(err, &refusal):
		stats.Refused.Add(1)
		c.farewell("error", statusCode(refusal.Kind), refusal.Reason)
	case errors.Is(err, errSetup), errors.Is(err, errIdle):
		stats.TimedOut.Add(1)
	case errors.Is(err, ingest.ErrMemory):
		stats.Refused.Add(1)
		c.opts.Episodes.Warn("short of memory", "", "publishers whose messages stayed unfinished were sent away: there is no memory left for them", "protocol", "rtmp", "remote", c.RemoteAddr().String())
		c.farewell("error", statusCode(ingest.Overloaded), err.Error())
	case errors.Is(err, chunk.ErrProtocol), errors.Is(err, chunk.ErrLimit):
		stats.Malformed.Add(1)
	case err == errPlay:
		stats.Refused.Add(1)
		c.farewell("error", "NetStream.Play.Failed", err.Error())
	case ours:
		c.farewell("status", "NetConnection.Connect.Closed", err.Error())
	case c.session != nil && !ended(err):
		c.farewell("error", statusCode(ingest.Unsupported), "the server ended the stream: try again")
	}
	return err
}

// ended reports whether an error means that the peer went away.
func ended(err error) bool {
	var n net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &n)
}

// Close is the last call of go-rtmp, after OnClose has ended the session.
func (c *conn) Close() error {
	var err error
	c.once.Do(func() {
		c.wmu.Lock()
		c.muted = true
		c.wmu.Unlock()
		c.chunks.Close() // release what it holds now: draining the peer takes a second
		if c.linger {
			c.drain()
		}
		err = c.Conn.Close()
		if !c.since.IsZero() { // there is nothing to log about a peer that never published
			c.log.Debug("connection closed", "cause", c.cancelled(), "bytes", c.received)
		}
		c.server.Stats.Connections.Add(-1)
		c.door.leave(c)
	})
	return err
}

// drain closes the sending direction and reads on until the peer closes too. Closing with unread bytes would send a reset, which can
// overtake the last message and keep the peer from showing it.
func (c *conn) drain() {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); !ok || w.CloseWrite() != nil {
		return
	}
	_ = c.Conn.SetReadDeadline(c.opts.Now().Add(c.opts.LingerTimeout))
	_, _ = io.CopyN(io.Discard, readOnly{c.Conn}, maxDrain)
}

// maxDrain is how many bytes are read from a refused peer at most.
const maxDrain = 4 << 20

// readOnly hides a connection's other methods, so that io.Copy uses one small buffer.
type readOnly struct{ io.Reader }
