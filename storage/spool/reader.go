package spool

import (
	"encoding/binary"
	"time"
)

// reader parses a payload; bad is set if it is too short.
type reader struct {
	p   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.p) == 0 {
		r.bad = true
		return 0
	}
	b := r.p[0]
	r.p = r.p[1:]
	return b
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.p)
	if n <= 0 {
		r.bad, r.p = true, nil
		return 0
	}
	r.p = r.p[n:]
	return v
}

func (r *reader) uint32() uint32 {
	if len(r.p) < 4 {
		r.bad, r.p = true, nil
		return 0
	}
	v := binary.LittleEndian.Uint32(r.p)
	r.p = r.p[4:]
	return v
}

func (r *reader) text() string {
	n := r.uint()
	if n > uint64(len(r.p)) {
		r.bad, r.p = true, nil
		return ""
	}
	s := string(r.p[:n])
	r.p = r.p[n:]
	return s
}

func (r *reader) time() time.Time {
	ns, n := binary.Varint(r.p)
	if n <= 0 {
		r.bad, r.p = true, nil
		return time.Time{}
	}
	r.p = r.p[n:]
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
