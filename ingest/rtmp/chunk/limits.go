package chunk

import (
	"errors"
	"fmt"
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
