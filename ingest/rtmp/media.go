package rtmp

import (
	"encoding/binary"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// message dispatches a message. What nobody needs is ignored, as the protocol asks.
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

// media carries a message through the demuxer to the session. It ignores the stream ID: a connection publishes one stream, and some
// encoders send a wrong ID.
func (c *conn) media(m chunk.Message) error {
	if c.session == nil {
		c.server.Stats.Stray.Add(1)
		return nil
	}
	c.commands = 0
	if m.Type != chunk.TypeDataAMF0 {
		c.pace.saw(m.Type == chunk.TypeVideo, m.Timestamp, c.arrival.Sub(c.server.epoch))
	}
	return c.demux.Tag(m.Type, m.Timestamp, m.Payload, c.arrival)
}

// aggregate splits a message of several FLV tags, each followed by its size (section 7.1.6). Their times are relative to the message's.
func (c *conn) aggregate(m chunk.Message) error {
	const header, trailer = 11, 4
	b := m.Payload
	for first, base := true, uint32(0); len(b) > 0; first = false {
		if len(b) < header {
			return errAggregate
		}
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		time := uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6])
		if first {
			base = time
		}
		if len(b) < header+size {
			return errAggregate
		}
		sub := chunk.Message{Type: b[0], StreamID: m.StreamID, Timestamp: m.Timestamp + time - base, Payload: b[header : header+size]}
		switch sub.Type {
		case chunk.TypeAudio, chunk.TypeVideo, chunk.TypeDataAMF0:
			if err := c.media(sub); err != nil {
				return err
			}
		}
		b = b[min(header+size+trailer, len(b)):]
	}
	return nil
}

// unpublish ends the session properly.
func (c *conn) unpublish() { c.endSession(ingest.ErrUnpublished) }

// endSession ends the session, if there is one, exactly once, after the frames that are still held.
func (c *conn) endSession(cause error) {
	s, demux := c.session, c.demux
	if s == nil {
		return
	}
	c.session, c.demux = nil, nil
	c.server.Stats.Publishers.Add(-1)
	c.setUntil = c.opts.Now().Add(c.opts.SetupTimeout)
	c.extend(c.setUntil)
	c.strayFrom = c.received
	listen.Settle(c.Conn, false)
	c.log.Info("publisher left", "app", c.app, "stream", c.stream, "cause", cause,
		"seconds", int(c.opts.Now().Sub(c.since).Seconds()), "bytes", c.received)
	defer s.Close(cause) // whatever becomes of the held frames
	if err := demux.Flush(); err != nil {
		c.log.Debug("the last frames were not taken", "error", err)
	}
}
