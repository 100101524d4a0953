package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Limits bound what one peer may cost. A zero field means its default.
type Limits struct {
	MessageSize int // bytes of one message; default 8 MiB
	Held        int // bytes kept for unfinished messages, over all chunk streams; default 16 MiB
	Streams     int // chunk streams; default 32
}

func (l Limits) withDefaults() Limits {
	if l.MessageSize == 0 {
		l.MessageSize = 8 << 20
	}
	if l.Held == 0 {
		l.Held = 16 << 20
	}
	if l.Streams == 0 {
		l.Streams = 32
	}
	return l
}

// ErrLimit is wrapped by every error that says that a peer went beyond a limit.
var ErrLimit = errors.New("rtmp: limit exceeded")

// ErrProtocol is wrapped by every error that says that the bytes are no chunk stream.
var ErrProtocol = errors.New("rtmp: not a valid chunk stream")

// minBuffer holds the longest chunk header with room to spare.
const minBuffer = 4 << 10

// extended is the 24-bit time that says that 32 bits follow the header.
const extended = 0xffffff

// maxRepeat is the largest time, in milliseconds, of a message with a full header that a following message with an empty
// one takes as its delta. The protocol says that it always does, and ffmpeg relies on it at the start of a stream; other
// encoders mean "the same time again", and would jump by hours.
const maxRepeat = 10_000

// stream is the state of one chunk stream.
type stream struct {
	known     bool // a header that says type and length has come
	active    bool // a message is unfinished
	absolute  bool // the newest header gave a time, not a delta
	extended  bool // the newest header had an extended time
	kind      uint8
	id        uint32
	length    int
	field     uint32 // time or delta of the newest header
	delta     uint32
	timestamp uint32
	buf       []byte // what has come of a message in several chunks; its memory is kept for the next
}

// Reader reassembles messages. It is used by one goroutine.
type Reader struct {
	src       io.Reader
	buf       []byte
	i, j      int // the unread bytes are buf[i:j]
	chunkSize int
	limits    Limits
	low       [64]*stream // by chunk stream id; nearly every encoder stays below 64
	high      map[int]*stream
	streams   int
	held      int

	// Discarded counts unfinished messages that were given up, by Abort or by a new header in their middle.
	Discarded uint64
}

// NewReader reads from src through buf, or through a small buffer of its own where buf is nil. A message in a single
// chunk that fits into buf is not copied.
func NewReader(src io.Reader, buf []byte, limits Limits) *Reader {
	if len(buf) < minBuffer {
		buf = make([]byte, minBuffer)
	}
	return &Reader{src: src, buf: buf, chunkSize: DefaultSize, limits: limits.withDefaults()}
}

// SetLimits changes the limits from the next chunk on.
func (r *Reader) SetLimits(l Limits) { r.limits = l.withDefaults() }

// SetBuffer changes the buffer; a smaller one than what is unread is ignored. It must not be called while a message
// is in use.
func (r *Reader) SetBuffer(buf []byte) {
	if len(buf) < minBuffer || len(buf) < r.j-r.i {
		return
	}
	r.j = copy(buf, r.buf[r.i:r.j])
	r.i, r.buf = 0, buf
}

// ReadRaw reads what comes before the chunk stream: the handshake.
func (r *Reader) ReadRaw(p []byte) (int, error) {
	if err := r.need(1); err != nil {
		return 0, err
	}
	n := copy(p, r.buf[r.i:r.j])
	r.i += n
	return n, nil
}

// Next gives the next message that is not about the chunk stream itself. Its payload is valid until the next call.
// io.EOF means that the peer closed between two messages.
func (r *Reader) Next() (Message, error) {
	for {
		s, payload, err := r.chunk()
		if err != nil {
			return Message{}, err
		}
		if s == nil {
			continue
		}
		switch s.kind {
		case TypeSetChunkSize:
			err = r.setChunkSize(payload)
		case TypeAbort:
			r.abort(payload)
		default:
			return Message{Type: s.kind, StreamID: s.id, Timestamp: s.timestamp, Payload: payload}, nil
		}
		if err != nil {
			return Message{}, err
		}
	}
}

// chunk reads one chunk; the stream is nil while its message is unfinished.
func (r *Reader) chunk() (*stream, []byte, error) {
	s, err := r.header()
	if err != nil {
		return nil, nil, err
	}
	s.active = true
	n := min(s.length-len(s.buf), r.chunkSize)
	if n == s.length && n <= len(r.buf) {
		if err := r.need(n); err != nil {
			return nil, nil, midway(err)
		}
		payload := r.buf[r.i : r.i+n : r.i+n]
		r.i += n
		s.active = false
		return s, payload, nil
	}
	for n > 0 {
		if err := r.need(1); err != nil {
			return nil, nil, midway(err)
		}
		part := r.buf[r.i:min(r.i+n, r.j)]
		if err := r.hold(s, part); err != nil {
			return nil, nil, err
		}
		r.i += len(part)
		n -= len(part)
	}
	if len(s.buf) < s.length {
		return nil, nil, nil
	}
	payload := s.buf
	s.buf, s.active = s.buf[:0], false
	return s, payload, nil
}

var headerLen = [4]int{11, 7, 3, 0}

// header reads a chunk's header and brings its stream up to date.
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
			// The protocol repeats the extended time here, some encoders do not: it is consumed only where it stands.
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

// messageHeader reads a header of format 0, 1 or 2 and steps over all size bytes of it.
func (r *Reader) messageHeader(s *stream, format byte, h []byte, size int) error {
	if s.active {
		r.Discarded++
		s.buf, s.active = s.buf[:0], false
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

// hold appends part to the unfinished message. Memory follows the bytes that came, never a length that was only promised.
func (r *Reader) hold(s *stream, part []byte) error {
	if need := len(s.buf) + len(part); need > cap(s.buf) {
		size := max(need, min(2*cap(s.buf), r.limits.MessageSize), minBuffer)
		if r.held-cap(s.buf)+size > r.limits.Held {
			r.drop(s)
		}
		if r.held-cap(s.buf)+size > r.limits.Held {
			return fmt.Errorf("%w: unfinished messages of more than %d bytes", ErrLimit, r.limits.Held)
		}
		r.held += size - cap(s.buf)
		s.buf = append(make([]byte, 0, size), s.buf...)
	}
	s.buf = append(s.buf, part...)
	return nil
}

// drop frees the memory that idle chunk streams keep for their next message.
func (r *Reader) drop(except *stream) {
	free := func(s *stream) {
		if s != nil && s != except && !s.active {
			r.held -= cap(s.buf)
			s.buf = nil
		}
	}
	for _, s := range r.low {
		free(s)
	}
	for _, s := range r.high {
		free(s)
	}
}

func (r *Reader) setChunkSize(p []byte) error {
	if len(p) < 4 {
		return fmt.Errorf("%w: set chunk size of %d bytes", ErrProtocol, len(p))
	}
	size := binary.BigEndian.Uint32(p)
	if size == 0 || size > 1<<31-1 {
		return fmt.Errorf("%w: chunk size %d", ErrProtocol, size)
	}
	r.chunkSize = int(min(size, MaxSize))
	return nil
}

// abort gives up the unfinished message of a chunk stream (section 5.4.2).
func (r *Reader) abort(p []byte) {
	if len(p) < 4 {
		return
	}
	var s *stream
	if id := binary.BigEndian.Uint32(p); id < uint32(len(r.low)) {
		s = r.low[id]
	} else {
		s = r.high[int(id)]
	}
	if s != nil && s.active {
		r.Discarded++
		s.buf, s.active = s.buf[:0], false
	}
}

// need makes n bytes available at r.i; n is at most len(r.buf).
func (r *Reader) need(n int) error {
	if r.j-r.i >= n {
		return nil
	}
	return r.fill(n)
}

func (r *Reader) fill(n int) error {
	// A short tail would make for short reads.
	if r.i == r.j || r.i+n > len(r.buf) || len(r.buf)-r.j < len(r.buf)/4 {
		r.j = copy(r.buf, r.buf[r.i:r.j])
		r.i = 0
	}
	for empty := 0; r.j-r.i < n; {
		m, err := r.src.Read(r.buf[r.j:])
		r.j += m
		if r.j-r.i >= n {
			return nil
		}
		if err != nil {
			if err == io.EOF && r.j > r.i {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if m > 0 {
			empty = 0
		} else if empty++; empty > 100 {
			return io.ErrNoProgress
		}
	}
	return nil
}

// midway is the error of a peer that closes inside a chunk.
func midway(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func u24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }
