package storage

import (
	"errors"
	"io"
)

// Body returns a body for Put from consecutive slices. It can be read from any position, and copies nothing beforehand.
func Body(parts [][]byte) io.ReadSeeker { return &sliceReader{parts: parts} }

type sliceReader struct {
	parts [][]byte
	at    int // index in parts
	off   int // in parts[at]
}

func (s *sliceReader) Read(p []byte) (int, error) {
	for s.at < len(s.parts) && s.off == len(s.parts[s.at]) {
		s.at, s.off = s.at+1, 0
	}
	if s.at == len(s.parts) {
		return 0, io.EOF
	}
	n := copy(p, s.parts[s.at][s.off:])
	s.off += n
	return n, nil
}

// WriteTo writes the slices themselves, while Read copies: computing a checksum of them costs no copy.
func (s *sliceReader) WriteTo(w io.Writer) (total int64, err error) {
	for ; s.at < len(s.parts); s.at, s.off = s.at+1, 0 {
		n, err := w.Write(s.parts[s.at][s.off:])
		total += int64(n)
		if s.off += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

// Lender is a body in memory, which may be sent directly from there.
type Lender interface {
	// Lend appends slices of the next n bytes to dst, fewer at the end, and advances past them. They belong to the body: they may only be
	// read, and no longer than the body may be.
	Lend(dst [][]byte, n int64) [][]byte
}

// Lend implements Lender.
func (s *sliceReader) Lend(dst [][]byte, n int64) [][]byte {
	for n > 0 && s.at < len(s.parts) {
		p := s.parts[s.at][s.off:]
		if int64(len(p)) > n {
			p = p[:n]
			s.off += len(p)
		} else {
			s.at, s.off = s.at+1, 0
		}
		if len(p) > 0 {
			dst = append(dst, p)
			n -= int64(len(p))
		}
	}
	return dst
}

func (s *sliceReader) size() (n int64) {
	for _, p := range s.parts {
		n += int64(len(p))
	}
	return n
}

func (s *sliceReader) tell() (n int64) {
	for _, p := range s.parts[:s.at] {
		n += int64(len(p))
	}
	return n + int64(s.off)
}

// Seek implements io.Seeker.
func (s *sliceReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.tell()
	case io.SeekEnd:
		offset += s.size()
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	s.at, s.off = 0, 0
	for left := offset; s.at < len(s.parts); s.at++ {
		if n := int64(len(s.parts[s.at])); left < n {
			s.off = int(left)
			break
		} else {
			left -= n
		}
	}
	return offset, nil
}
