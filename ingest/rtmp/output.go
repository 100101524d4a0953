package rtmp

import (
	"encoding/binary"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// Chunk streams of what the guard itself writes. go-rtmp answers on that of the command, which is 3, and uses 2 only
// while connecting, before the first acknowledgement is due.
const (
	controlChunks = 2
	statusChunks  = 5
)

// acknowledge tells the peer how many bytes have come (section 5.4.3). A peer that never reads is no reason to end a stream: nothing more
// is written to it.
func (c *conn) acknowledge() {
	c.acked = c.received
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.muted {
		return
	}
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(c.received))
	c.out = chunk.Append(c.out[:0], controlChunks, chunk.DefaultSize, chunk.Message{Type: chunk.TypeAck, Payload: n[:]})
	_ = c.Conn.SetWriteDeadline(c.opts.Now().Add(c.opts.WriteTimeout))
	if _, err := c.Conn.Write(c.out); err != nil {
		c.muted = true
		c.log.Warn("the encoder does not read acknowledgements, none are sent any more", "error", err)
		return
	}
	c.server.Stats.Acks.Add(1)
}

// reply answers the current command with an empty result.
func (c *conn) reply() {
	c.send(0, amf.Text("_result"), amf.Num(c.transaction), amf.Value{}, amf.Value{})
}

// send writes one of the guard's own commands.
func (c *conn) send(stream uint32, values ...amf.Value) {
	m := chunk.Message{Type: chunk.TypeCommandAMF0, StreamID: stream, Payload: amf.Append(nil, values...)}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_, _ = c.write(chunk.Append(nil, statusChunks, chunk.DefaultSize, m))
}

func status(level, code, description string) amf.Value {
	return amf.Obj(
		amf.Field{Name: "level", Value: amf.Text(level)},
		amf.Field{Name: "code", Value: amf.Text(code)},
		amf.Field{Name: "description", Value: amf.Text(description)})
}

// farewell is the last message to a peer; what go-rtmp would add is dropped.
func (c *conn) farewell(level, code, description string) {
	payload := amf.Append(nil, amf.Text("onStatus"), amf.Num(0), amf.Value{}, status(level, code, description))
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.muted {
		return
	}
	c.muted, c.linger = true, true
	b := chunk.Append(nil, statusChunks, chunk.DefaultSize, chunk.Message{Type: chunk.TypeCommandAMF0, StreamID: c.streamID, Payload: payload})
	_ = c.Conn.SetWriteDeadline(c.opts.Now().Add(min(c.opts.WriteTimeout, lastWrite)))
	_, _ = c.Conn.Write(b)
}

// statusCode is the answer to a refusal in RTMP's words. FFmpeg shows the description of any error; OBS's librtmp writes it to its log for
// the codes Denied and Rejected, and not for BadName, which others take for "somebody else publishes under this name" and nothing else.
func statusCode(k ingest.RefusalKind) string {
	switch k {
	case ingest.NameTaken:
		return "NetStream.Publish.BadName"
	case ingest.BadName, ingest.UnknownApp, ingest.Unauthorized, ingest.TooMany:
		return "NetStream.Publish.Denied"
	}
	return "NetStream.Publish.Rejected"
}
