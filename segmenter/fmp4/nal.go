package fmp4

import "bytes"

// split appends the NAL units of a byte stream (ISO/IEC 14496-10 annex B) to dst; false where b does not begin with a start code.
// They refer to b.
func split(dst [][]byte, b []byte) ([][]byte, bool) {
	at := nextCode(b, 0)
	if at < 0 || len(bytes.Trim(b[:at], "\x00")) > 0 {
		return dst, false
	}
	for at >= 0 {
		at += 3
		next := nextCode(b, at)
		u := b[at:]
		if next >= 0 {
			u = b[at:next]
		}
		if u = trimZeros(u); len(u) > 0 {
			dst = append(dst, u)
		}
		at = next
	}
	return dst, true
}

// nextCode is where the next start code begins, at or after from; -1 where there is none. It looks for the one at its end, which
// is as rare as any byte: zeros are not.
func nextCode(b []byte, from int) int {
	for i := from + 2; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], 1)
		if n < 0 {
			return -1
		}
		if i += n; b[i-1] == 0 && b[i-2] == 0 {
			return i - 2
		}
	}
	return -1
}

// trimZeros leaves out what is behind a NAL unit: the begin of a longer start code, or trailing zeros. A NAL unit does not end with
// one.
func trimZeros(u []byte) []byte {
	for len(u) > 0 && u[len(u)-1] == 0 {
		u = u[:len(u)-1]
	}
	return u
}
