package rtmp

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"runtime/debug"
	"sync"

	gortmp "github.com/yutopp/go-rtmp"
	"github.com/yutopp/go-rtmp/message"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// Everything between go-rtmp and its peers is in this file, in the order in which a connection meets it: the listener, the settings, what
// go-rtmp reads, what it writes. Numbers in brackets are those of the package comment.

// gate is the listener that go-rtmp sees (1).
type gate struct {
	net.Listener
	wrap func(net.Conn) *conn
	quit func() // makes go-rtmp stop
	err  error  // why Accept failed; read after Serve

	wait  sync.WaitGroup
	mu    sync.Mutex
	conns map[*conn]struct{}
}

func (g *gate) Accept() (net.Conn, error) {
	n, err := g.Listener.Accept()
	if err != nil {
		g.err = err
		g.quit()
		return nil, err
	}
	c := g.wrap(n)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conns[c] = struct{}{}
	g.wait.Add(1)
	return c, nil
}

// leave is the last call of a connection.
func (g *gate) leave(c *conn) {
	g.mu.Lock()
	delete(g.conns, c)
	g.mu.Unlock()
	g.wait.Done()
}

func (g *gate) cancel(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.cancel(cause)
	}
}

// onConnect sets up go-rtmp for a connection of the gate.
func onConnect(n net.Conn) (io.ReadWriteCloser, *gortmp.ConnConfig) {
	c := n.(*conn)
	window := int32(c.opts.AckWindow)
	return c, &gortmp.ConnConfig{
		Handler: &handler{conn: c},
		// (2) Clients that ask for the handshake with digests get the plain one, and then do not echo it.
		SkipHandshakeVerification: true,
		// (3) A stream that was not created: ignored. The set-up timeout ends peers that persist.
		IgnoreMessagesOnNotExistStream:          true,
		IgnoreMessagesOnNotExistStreamThreshold: uint32(c.opts.MaxCommands),
		ReaderBufferSize:                        1 << 10,
		WriterBufferSize:                        1 << 10,
		ControlState: gortmp.StreamControlStateConfig{
			MaxMessageStreams:          c.opts.MaxStreams,
			MaxChunkStreams:            8,
			DefaultAckWindowSize:       window,
			DefaultBandwidthWindowSize: window,
			DefaultBandwidthLimitType:  message.LimitTypeDynamic,
		},
		RPreset: &gortmp.DefaultResponsePreset{
			// Encoders look here for features of the server; this is what most servers say.
			ServerConnectResultProperties: message.NetConnectionConnectResultProperties{FMSVer: "FMS/3,0,1,123", Capabilities: 31, Mode: 1},
			ServerConnectResultData:       map[string]any{},
		},
	}
}

// Read gives go-rtmp the handshake as it came, and then one clean chunk for each command (4). It returns when there is one; meanwhile media
// bypasses go-rtmp (5). A panic, ours or in one of go-rtmp's callbacks, ends only this connection.
func (c *conn) Read(p []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.server.Stats.Panics.Add(1)
			c.log.Error("panic while reading a connection", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			n, err = 0, c.fail(errPanic)
		}
	}()
	for len(c.in) == 0 {
		if c.handshake > 0 {
			return c.readHandshake(p)
		}
		m, err := c.chunks.Next()
		if err == nil {
			err = c.message(m)
		}
		if err != nil {
			return 0, c.fail(err)
		}
	}
	n = copy(p, c.in)
	c.in = c.in[n:]
	return n, nil
}

// readHandshake passes on the handshake, version 3 only: go-rtmp would wait for the rest of another protocol's message (2).
func (c *conn) readHandshake(p []byte) (int, error) {
	n, err := c.chunks.ReadRaw(p[:min(len(p), c.handshake)])
	if err == nil && !c.version && n > 0 {
		c.version = true
		if p[0] != 3 {
			err = errNotRTMP
		}
	}
	if err != nil {
		return 0, c.fail(err)
	}
	if c.handshake -= n; c.handshake == 0 {
		// From here on go-rtmp gets each message in one chunk (4).
		c.pass(chunk.Message{Type: chunk.TypeSetChunkSize, Payload: binary.BigEndian.AppendUint32(nil, chunk.MaxSize)}, 2)
	}
	return n, nil
}

// pass queues a message for go-rtmp.
func (c *conn) pass(m chunk.Message, id int) {
	c.inBuf = chunk.Append(append(c.inBuf[:0], c.in...), id, chunk.MaxSize, m)
	c.in = c.inBuf
}

// command passes a command to go-rtmp, rebuilt with the number and types of values that it expects (6). Commands that mean nothing to a
// server of publishers are dropped here.
func (c *conn) command(m chunk.Message) error {
	if c.commands++; c.commands > c.opts.MaxCommands {
		return errCommands
	}
	v, err := amf.DecodeAll(m.Payload, commandLimits())
	if err != nil {
		return fmt.Errorf("%w: %w", errBadAMF, err)
	}
	if len(v) < 2 || v[0].Kind != amf.String {
		return errBadAMF
	}
	for len(v) < 5 {
		v = append(v, amf.Value{})
	}
	name, text := v[0].Text, amf.Text(v[3].Text)
	if f := v[1].Number; f >= 0 && f <= math.MaxInt32 {
		c.transaction = f
	} else {
		c.transaction = 0
	}
	switch name { // (6) AMF0 only, with as many arguments as its structs have fields
	case "connect":
		o := v[2]
		c.forward(0, name, amf.Obj(
			amf.Field{Name: "app", Value: amf.Text(o.Get("app").Text)},
			amf.Field{Name: "tcUrl", Value: amf.Text(o.Get("tcUrl").Text)}))
	case "createStream":
		c.forward(0, name, amf.Value{})
	case "releaseStream", "FCPublish", "FCUnpublish":
		c.forward(0, name, amf.Value{}, text)
	case "publish":
		c.forward(m.StreamID, name, amf.Value{}, text, amf.Text("live"))
	case "play", "play2":
		c.forward(m.StreamID, "play", amf.Value{}, text, amf.Num(0))
	case "deleteStream":
		// (7) go-rtmp ends the connection if it does not know the stream.
		if c.session != nil && v[3].Number == float64(c.streamID) {
			c.forward(0, name, amf.Value{}, v[3])
		} else {
			c.unpublish()
		}
	case "closeStream":
		c.unpublish()
	}
	return nil
}

func (c *conn) forward(stream uint32, name string, args ...amf.Value) {
	b := amf.Append(nil, amf.Text(name), amf.Num(c.transaction))
	c.pass(chunk.Message{Type: chunk.TypeCommandAMF0, StreamID: stream, Payload: amf.Append(b, args...)}, 3)
}

// Write accepts what go-rtmp writes: whole chunks, and before them the handshake in seven pieces, which are sent as two (8).
func (c *conn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.sent >= handshakeSize {
		return c.write(p)
	}
	c.sent += len(p)
	c.answer = append(c.answer, p...)
	if c.sent != handshakeSize && c.sent != handshakeSize-1536 {
		return len(p), nil
	}
	_, err := c.write(c.answer)
	c.answer = c.answer[:0]
	if c.sent == handshakeSize {
		c.answer = nil
	}
	return len(p), err
}

// write writes to the socket. A failed write ends the connection on the reader's side; go-rtmp is told that it succeeded (9).
func (c *conn) write(p []byte) (int, error) {
	if c.muted {
		return len(p), nil
	}
	_ = c.Conn.SetWriteDeadline(c.opts.Now().Add(c.opts.WriteTimeout))
	if _, err := c.Conn.Write(p); err != nil {
		c.muted = true
		c.cancel(fmt.Errorf("answer the peer: %w", err))
	}
	return len(p), nil
}
