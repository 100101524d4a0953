package codec

import "bytes"

// rbsp reads the bytes of a NAL unit behind its header and drops the emulation prevention bytes (ISO/IEC 14496-10 7.4.1, ISO/IEC 23008-2
// 7.4.2): the 3 that encoders insert after two zeros.
type rbsp struct {
	data  []byte // what is still unread
	zeros int    // zero bytes before it
}

// next reads a byte. It returns false at the end.
func (r *rbsp) next() (c byte, ok bool) {
	if r.zeros >= 2 && len(r.data) > 0 && r.data[0] == 3 {
		r.data, r.zeros = r.data[1:], 0
	}
	if len(r.data) == 0 {
		return 0, false
	}
	c, r.data = r.data[0], r.data[1:]
	if c == 0 {
		r.zeros++
	} else {
		r.zeros = 0
	}
	return c, true
}

// read fills p as far as there are bytes and returns their number.
func (r *rbsp) read(p []byte) int {
	for i := range p {
		c, ok := r.next()
		if !ok {
			return i
		}
		p[i] = c
	}
	return len(p)
}

// skip skips n bytes, or all that are left.
func (r *rbsp) skip(n int) {
	for n > 0 && len(r.data) > 0 {
		if r.zeros == 0 { // nothing is dropped before the next zero
			k := min(n, len(r.data))
			if zero := bytes.IndexByte(r.data[:k], 0); zero >= 0 {
				k = zero
			}
			r.data = r.data[k:]
			if n -= k; n == 0 {
				return
			}
		}
		r.next()
		n--
	}
}
