package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// ErrProtocol is wrapped by every error for bytes that are not a chunk stream.
var ErrProtocol = errors.New("rtmp: not a valid chunk stream")

// minBuffer is enough for the longest chunk header.
const minBuffer = 4 << 10

// Reader reassembles messages. It is used by one goroutine.
type Reader struct {
	src       io.Reader
	waiter    Waiter // src, if it is one
	memory    *Memory
	share     int    // size of the buffer lent by memory; 0: buf is the reader's own
	lent      *piece // buf, if it is lent
	spent     *piece // the memory of the newest message
	buf       []byte
	i, j      int // the unread bytes are buf[i:j]
	chunkSize int
	limits    Limits
	low       [64]*stream // by chunk stream id; nearly every encoder stays below 64
	high      map[int]*stream
	streams   int
	held      int
	claims    *ingest.Memory // shared with all other readers; may be nil
	end       func(error)
	quit      <-chan struct{} // closed when nothing is to wait for memory any more

	// Discarded counts unfinished messages that were discarded, because of Abort or a new header in their middle.
	Discarded uint64
}

// Waiter is a source that gathers bytes: Wait is called before each Read, which may then return nothing.
type Waiter interface{ Wait() }

// NewReader returns a Reader of src, which may be a Waiter. It reads through buf, or through a small buffer of its own if buf is nil. A
// message in a single chunk that fits into the buffer is not copied.
func NewReader(src io.Reader, buf []byte, limits Limits) *Reader {
	if len(buf) < minBuffer {
		buf = make([]byte, minBuffer)
	}
	w, _ := src.(Waiter)
	return &Reader{src: src, waiter: w, memory: new(Memory), buf: buf, chunkSize: DefaultSize, limits: limits.withDefaults()}
}

// SetLimits changes the limits, from the next chunk on.
func (r *Reader) SetLimits(l Limits) { r.limits = l.withDefaults() }

// Share makes the reader read through size bytes lent by m, as soon as its own buffer is empty. While it waits for a Waiter with nothing
// unread, it keeps none.
func (r *Reader) Share(m *Memory, size int) { r.memory, r.share = m, max(size, minBuffer) }

// ReadRaw reads what precedes the chunk stream: the handshake.
func (r *Reader) ReadRaw(p []byte) (int, error) {
	if err := r.need(1); err != nil {
		return 0, err
	}
	n := copy(p, r.buf[r.i:r.j])
	r.i += n
	return n, nil
}

// Next returns the next message that is not about the chunk stream itself. Its payload is valid until the next call. The error is io.EOF if
// the peer closed between two messages.
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

// chunk reads one chunk. The stream is nil while its message is unfinished.
func (r *Reader) chunk() (*stream, []byte, error) {
	if r.spent != nil {
		r.free(r.spent)
		r.spent = nil
	}
	s, err := r.header()
	if err != nil {
		return nil, nil, err
	}
	s.active = true
	n := min(s.length-s.have(), r.chunkSize)
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
	if s.have() < s.length {
		return nil, nil, nil
	}
	r.spent, s.held, s.active = s.held, nil, false
	if r.spent == nil {
		return s, nil, nil // an empty message
	}
	r.claims.Give(&s.claim)
	return s, r.spent.b, nil
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

// abort discards the unfinished message of a chunk stream (section 5.4.2).
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
		r.giveUp(s)
	}
}

// giveUp discards an unfinished message.
func (r *Reader) giveUp(s *stream) {
	r.Discarded++
	r.free(s.held)
	r.claims.Give(&s.claim)
	s.held, s.active = nil, false
}

// need makes n bytes available at r.i; n is at most len(r.buf).
func (r *Reader) need(n int) error {
	if r.j-r.i >= n {
		return nil
	}
	return r.fill(n)
}

func (r *Reader) fill(n int) error {
	// A short tail would cause short reads.
	if r.i == r.j || r.i+n > len(r.buf) || len(r.buf)-r.j < len(r.buf)/4 {
		r.j = copy(r.buf, r.buf[r.i:r.j])
		r.i = 0
	}
	for empty := 0; r.j-r.i < n; {
		if r.waiter != nil {
			r.wait()
		}
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
		if m > 0 || r.waiter != nil {
			empty = 0
		} else if empty++; empty > 100 {
			return io.ErrNoProgress
		}
	}
	return nil
}

// wait waits for the source. No reader waits with an empty buffer that another could use.
func (r *Reader) wait() {
	if r.share == 0 || r.i < r.j {
		r.waiter.Wait()
		return
	}
	if r.lent != nil {
		r.memory.put(r.lent)
		r.buf, r.lent = nil, nil
	}
	r.waiter.Wait()
	r.lent = r.memory.get(r.share)
	r.buf, r.i, r.j = r.lent.b[:r.share], 0, 0
}

// midway returns the error for a peer that closes inside a chunk.
func midway(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
