package fmp4

import (
	"bytes"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// split appends the NAL units of a byte stream (ISO/IEC 14496-10 annex B) to dst; false where b does not begin with a start code,
// however many zeros are before it. They refer to b.
func split(dst [][]byte, b []byte) ([][]byte, bool) {
	at := codec.NextStartCode(b, 0)
	if at < 0 || len(bytes.TrimLeft(b[:at], "\x00")) > 0 {
		return dst, false
	}
	for u := range codec.AnnexB(b[at:]) {
		dst = append(dst, u)
	}
	return dst, true
}
