//go:build linux

// Package publish sends one recorded clip to an RTMP server on any number of connections, each frame when an encoder would send it, at a
// cost that leaves the machine to the server under test. It refuses to encode, and reads no more RTMP than it needs to be admitted.
package publish

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
)

// Clip is a recording that can be sent round after round.
type Clip struct {
	tags   []tag
	Period time.Duration // from one round to the next
	Bytes  int           // of audio and video in one round
}

// tag is one FLV tag, which is one RTMP message.
type tag struct {
	at     uint32 // milliseconds from the beginning of the round
	kind   uint8  // 8 audio, 9 video, 18 data
	key    bool   // a keyframe
	header bool   // sent once, before everything else
	body   []byte
}

var errNotFLV = errors.New("not an FLV file, or cut short")

// ReadClip reads an FLV file. period is the length of a round; the recording must fill it without a seam.
func ReadClip(path string, period time.Duration) (*Clip, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("clip: %w", err)
	}
	c, err := parse(b, period)
	if err != nil {
		return nil, fmt.Errorf("clip %s: %w", path, err)
	}
	return c, nil
}

func parse(b []byte, period time.Duration) (*Clip, error) {
	if len(b) < 13 || string(b[:3]) != "FLV" {
		return nil, errNotFLV
	}
	c := &Clip{Period: period}
	for b = b[13:]; len(b) > 0; {
		if len(b) < 11 {
			return nil, errNotFLV
		}
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if len(b) < 11+size+4 {
			return nil, errNotFLV
		}
		t := tag{
			kind: b[0] & 0x1f,
			at:   uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]),
			body: b[11 : 11+size],
		}
		b = b[11+size+4:]
		if c.keep(&t) {
			c.tags = append(c.tags, t)
		}
	}
	if c.Bytes == 0 {
		return nil, errors.New("no frames in it")
	}
	return c, nil
}

// keep determines the kind of a tag, and reports whether a round uses it.
func (c *Clip) keep(t *tag) bool {
	if len(t.body) < 2 || time.Duration(t.at)*time.Millisecond >= c.Period {
		return false
	}
	switch t.kind {
	case 8:
		t.header = t.body[0]>>4 == 10 && t.body[1] == 0
	case 9:
		if t.body[1] > 1 { // end of sequence
			return false
		}
		t.header = t.body[1] == 0
		t.key = t.body[0]>>4 == 1 && !t.header
	case 18:
		t.header = true
		t.body = append(appendString(nil, "@setDataFrame"), t.body...)
	default:
		return false
	}
	if !t.header {
		c.Bytes += len(t.body)
	}
	return true
}

// reel is a clip as bytes of RTMP, each message in chunks, complete except for time and message stream, which are filled in when it is
// sent. It belongs to one goroutine.
type reel struct {
	head   []piece // sent once
	pieces []piece
	period uint32 // milliseconds
}

type piece struct {
	at   uint32 // milliseconds
	key  bool
	wire []byte
}

// messageHeader is the size of a basic header for chunk streams 2 to 63 and a message header of type 0 (RTMP 5.3.1).
const messageHeader = 12

func (c *Clip) reel(chunk int) *reel {
	r := &reel{period: uint32(c.Period / time.Millisecond)}
	for _, t := range c.tags {
		id := byte(4)
		if t.kind == 9 {
			id = 6
		}
		p := piece{at: t.at, key: t.key, wire: appendMessage(nil, id, chunk, t.kind, 0, t.body)}
		if t.header {
			p.at = 0
			r.head = append(r.head, p)
		} else {
			r.pieces = append(r.pieces, p)
		}
	}
	return r
}

// stamp fills in time and message stream.
func (p *piece) stamp(ms, stream uint32) {
	p.wire[1], p.wire[2], p.wire[3] = byte(ms>>16), byte(ms>>8), byte(ms)
	binary.LittleEndian.PutUint32(p.wire[8:], stream)
}

// appendMessage appends a message at time 0 in chunks: the first with a header of type 0, the others of type 3.
func appendMessage(b []byte, id byte, chunk int, kind uint8, stream uint32, body []byte) []byte {
	b = append(b, id, 0, 0, 0, byte(len(body)>>16), byte(len(body)>>8), byte(len(body)), kind)
	b = binary.LittleEndian.AppendUint32(b, stream)
	for len(body) > chunk {
		b = append(b, body[:chunk]...)
		b = append(b, 0xc0|id)
		body = body[chunk:]
	}
	return append(b, body...)
}
