package codec

import (
	"bytes"
	"iter"
)

// StartCode returns the length of the start code at the start of b (ISO/IEC 14496-10 annex B), 3 or 4, or 0 if there is none. What looks
// like one may be the length of a NAL unit, of 1 byte or of 256 to 511: where lengths are expected, it counts only after they did not add
// up.
func StartCode(b []byte) int {
	switch {
	case len(b) >= 3 && b[0] == 0 && b[1] == 0 && b[2] == 1:
		return 3
	case len(b) >= 4 && b[0] == 0 && b[1] == 0 && b[2] == 0 && b[3] == 1:
		return 4
	}
	return 0
}

// NextStartCode is where the next start code of three bytes begins, at or after from; -1 where there is none. It looks for the one at its
// end, which is as rare as any byte: zeros are not.
func NextStartCode(b []byte, from int) int {
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

// AnnexB iterates over the NAL units of a byte stream that begins with a start code. They refer to b.
func AnnexB(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for n := StartCode(b); n > 0; n = StartCode(b) {
			b = b[n:]
			u := b
			if end := NextStartCode(b, 0); end >= 0 {
				u, b = b[:end], b[end:]
			} else {
				b = nil
			}
			// Zeros before a start code belong to it or are trailing (B.1.1); a NAL unit does not end with one.
			if u = bytes.TrimRight(u, "\x00"); len(u) > 0 && !yield(u[:len(u):len(u)]) {
				return
			}
		}
	}
}
