package chunk

import (
	"encoding/binary"
	"fmt"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// extended is the 24-bit time that announces another 32 bits after the header.
const extended = 0xffffff

// maxRepeat is the largest time, in milliseconds, of a message with a full header that a following message with an empty header takes as
// its delta. The protocol says that it always does, and ffmpeg relies on it at the start of a stream. Other encoders mean "the same time
// again", and would jump by hours.
const maxRepeat = 10_000

// stream is the state of one chunk stream.
type stream struct {
	known     bool // a header with type and length has come
	active    bool // a message is unfinished
	absolute  bool // the newest header had a time, not a delta
	extended  bool // the newest header had an extended time
	kind      uint8
	id        uint32
	length    int
	field     uint32 // time or delta of the newest header
	delta     uint32
	timestamp uint32
	claim     ingest.Message // on the memory that all connections share
	held      *piece         // what has come of a message in several chunks; nil: nothing
}

var headerLen = [4]int{11, 7, 3, 0}

// header reads a chunk's header and updates its stream.
func (r *Reader) header() (*stream, error) {
	if err := r.need(1); err != nil {
		return nil, err
	}
	format, id, basic := r.buf[r.i]>>6, int(r.buf[r.i]&0x3f), 1
	if id < 2 {
		basic = 2 + id
	}
	size := basic + headerLen[format]
	if err := r.need(size); err != nil {
		return nil, midway(err)
	}
	h := r.buf[r.i : r.i+size]
	switch basic {
	case 2:
		id = 64 + int(h[1])
	case 3:
		id = 64 + int(h[1]) + int(h[2])<<8
	}
	s, err := r.stream(id)
	if err != nil {
		return nil, err
	}
	if format >= 2 && !s.known {
		return nil, fmt.Errorf("%w: chunk stream %d begins without a message header", ErrProtocol, id)
	}
	if format == 3 {
		r.i += size
		if s.extended {
			// The protocol repeats the extended time here, but some encoders do not: it is consumed only if it is there.
			if err := r.need(4); err != nil {
				return nil, midway(err)
			}
			if v := binary.BigEndian.Uint32(r.buf[r.i:]); v == s.field || v == s.timestamp {
				r.i += 4
			}
		}
		if !s.active {
			if s.absolute && s.delta > maxRepeat {
				s.delta = 0
			}
			s.timestamp += s.delta
		}
		return s, nil
	}
	return s, r.messageHeader(s, format, h[basic:], size)
}

// messageHeader reads a header of format 0, 1 or 2, and consumes all of its size bytes.
func (r *Reader) messageHeader(s *stream, format byte, h []byte, size int) error {
	if s.active {
		r.giveUp(s)
	}
	s.field = u24(h)
	s.absolute = format == 0
	if format < 2 {
		s.length, s.kind, s.known = int(u24(h[3:])), h[6], true
	}
	if format == 0 {
		s.id = binary.LittleEndian.Uint32(h[7:])
	}
	r.i += size
	if s.extended = s.field == extended; s.extended {
		if err := r.need(4); err != nil {
			return midway(err)
		}
		s.field = binary.BigEndian.Uint32(r.buf[r.i:])
		r.i += 4
	}
	if s.length > r.limits.MessageSize {
		return fmt.Errorf("%w: a message of %d bytes, %d are allowed", ErrLimit, s.length, r.limits.MessageSize)
	}
	s.delta = s.field
	if format == 0 {
		s.timestamp = s.field
	} else {
		s.timestamp += s.field
	}
	return nil
}

func (r *Reader) stream(id int) (*stream, error) {
	if id < len(r.low) {
		if s := r.low[id]; s != nil {
			return s, nil
		}
	} else if s := r.high[id]; s != nil {
		return s, nil
	}
	if r.streams++; r.streams > r.limits.Streams {
		return nil, fmt.Errorf("%w: more than %d chunk streams", ErrLimit, r.limits.Streams)
	}
	s := &stream{}
	if id < len(r.low) {
		r.low[id] = s
		return s, nil
	}
	if r.high == nil {
		r.high = make(map[int]*stream)
	}
	r.high[id] = s
	return s, nil
}

func u24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }
