package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// Read gives go-rtmp the handshake as it came, and then one clean chunk for each command. It returns when there is one;
// meanwhile media flows.
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
		// From here on go-rtmp gets each message in one chunk.
		c.pass(chunk.Message{Type: chunk.TypeSetChunkSize, Payload: binary.BigEndian.AppendUint32(nil, chunk.MaxSize)}, 2)
	}
	return n, nil
}

// pass queues a message for go-rtmp.
func (c *conn) pass(m chunk.Message, id int) {
	c.inBuf = chunk.Append(append(c.inBuf[:0], c.in...), id, chunk.MaxSize, m)
	c.in = c.inBuf
}

// socket is where the chunk reader reads from.
type socket struct{ *conn }

// Read reads the socket. A deadline is not moved with each read: when it passes while bytes came in time, it is set anew.
func (s socket) Read(p []byte) (int, error) {
	c := s.conn
	for {
		var n int
		var err error
		if c.gather {
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
			return n, nil
		}
		if err == nil {
			if c.gather {
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

// Wait for the next instant of the grid. All connections wake at the same instants, so that the process wakes once for all
// of them. A read that filled its buffer is followed by another at once.
func (s socket) Wait() {
	if c := s.conn; c.gather && !c.more {
		grid := c.opts.Coalesce
		time.Sleep(grid - c.opts.Now().Sub(c.server.epoch)%grid)
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

// message sends a message where it belongs. What nobody needs is ignored, as the protocol asks.
func (c *conn) message(m chunk.Message) error {
	switch m.Type {
	case chunk.TypeAudio, chunk.TypeVideo, chunk.TypeDataAMF0:
		return c.media(m)
	case chunk.TypeAggregate:
		return c.aggregate(m)
	case chunk.TypeDataAMF3: // AMF0 behind a zero, from every encoder that sends it
		if len(m.Payload) > 0 {
			m.Type, m.Payload = chunk.TypeDataAMF0, m.Payload[1:]
		}
		return c.media(m)
	case chunk.TypeCommandAMF0:
		return c.command(m)
	case chunk.TypeCommandAMF3:
		if len(m.Payload) > 0 {
			m.Payload = m.Payload[1:]
		}
		return c.command(m)
	case chunk.TypeWindowAck:
		if len(m.Payload) >= 4 {
			window := binary.BigEndian.Uint32(m.Payload)
			c.ackEvery = uint64(max(min(int(window), c.opts.AckWindow)/2, minAck))
		}
	}
	return nil
}

// command hands a command to go-rtmp, rebuilt from values of the types that it expects: on others it would end the
// connection or panic. Commands that mean nothing to a server of publishers end here.
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
	switch name {
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
		// go-rtmp ends the connection for a stream that it does not know.
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
