package http1

import (
	"errors"
	"io"
)

// These end a connection, after an answer that says why.
var (
	errHeadTooLarge  = errors.New("request head too large")
	errHeadMalformed = errors.New("request head malformed")
	errHeadsFull     = errors.New("too many large request heads")
)

// mediumHead is the size in bytes of a request head that came through several proxies.
const mediumHead = 4 << 10

// maxBlank is how many empty lines may precede a request (RFC 9112 2.2 requires one).
const maxBlank = 4

// reader collects request heads from a connection. An idle connection keeps only the small buffer, which holds the head of any usual
// request; a larger one borrows memory until it is answered.
type reader struct {
	small      [1024]byte
	buf        []byte // small, or the memory of big
	big        *bigHead
	heads      *heads
	start, end int // of what has been read and not consumed
	line       int // start of the line where the search for the end of the head continues
	blank      int // empty lines before the head
}

// pending reports whether there is a part of a head.
func (r *reader) pending() bool { return r.end > r.start }

// head returns the first head in the buffer, or nil if it is incomplete.
func (r *reader) head() ([]byte, error) {
	for r.end-r.start >= 2 && r.buf[r.start] == '\r' && r.buf[r.start+1] == '\n' {
		r.start += 2
		r.line = r.start
		if r.blank++; r.blank > maxBlank {
			return nil, errHeadMalformed
		}
	}
	n, next, bad := headEnd(r.buf[r.start:r.end], r.line-r.start)
	r.line = r.start + next
	switch {
	case bad:
		return nil, errHeadMalformed
	case n == 0:
		return nil, nil
	}
	if r.big != nil {
		r.heads.whole(r.big)
	}
	return r.buf[r.start : r.start+n], nil
}

// tooLong reports whether the request line alone fills the buffer.
func (r *reader) tooLong() bool { return r.line == r.start }

// fill reads more.
func (r *reader) fill(from io.Reader, v *visitor) error {
	if r.end == len(r.buf) {
		if err := r.room(v); err != nil {
			return err
		}
	}
	n, err := from.Read(r.buf[r.end:])
	r.end += n
	if n > 0 {
		return nil
	}
	return err
}

// room makes room at the end of the buffer.
func (r *reader) room(v *visitor) error {
	switch {
	case r.buf == nil:
		r.buf = r.small[:]
	case r.start > 0:
		r.compact(r.buf)
	default:
		big, victim, err := r.heads.lend(v, len(r.buf))
		if victim != nil {
			victim.evict()
		}
		if err != nil {
			return err
		}
		old := r.big
		r.big = big
		r.compact(big.b)
		if old != nil {
			r.heads.back(old)
		}
	}
	return nil
}

// compact moves the unread bytes to the front of to.
func (r *reader) compact(to []byte) {
	copy(to, r.buf[r.start:r.end])
	r.buf, r.end, r.line, r.start = to, r.end-r.start, r.line-r.start, 0
}

// consume drops a head that was answered, and returns large memory as soon as the rest is small.
func (r *reader) consume(n int) {
	r.start += n
	r.line = r.start
	r.blank = 0
	switch {
	case r.start == r.end:
		r.start, r.end, r.line = 0, 0, 0
		r.release()
	case r.big != nil && r.end-r.start <= len(r.small):
		r.compact(r.small[:])
		r.release()
	case r.big != nil:
		r.heads.half(r.big)
	}
}

func (r *reader) release() {
	if r.big != nil {
		r.buf = r.small[:]
		r.heads.back(r.big)
		r.big = nil
	}
}
