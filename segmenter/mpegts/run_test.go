package mpegts

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// packetsOf makes packets of payloads, which have a header and the continuity counters from cc on.
func packetsOf(header uint32, cc int, payloads ...byte) (b []byte) {
	for i, p := range payloads {
		b = binary.BigEndian.AppendUint32(b, header|uint32(cc+i)&15)
		b = append(b, bytes.Repeat([]byte{p}, PayloadSize)...)
	}
	return b
}

func TestRun(t *testing.T) {
	const header = 0x47010010
	all := packetsOf(header, 14, 2, 3, 0, 4)
	all = append(all, packetsOf(header, 7, 5)...) // one that does not follow
	r := Run{packets: all, header: header | 14, left: 5}
	dst := make([]byte, 5*PayloadSize)
	n, plain := r.Copy(dst)
	if n != 3*PayloadSize || plain || dst[0] != 2 || dst[PayloadSize] != 3 || dst[n-1] != 0 {
		t.Fatalf("%d bytes, plain %v", n, plain)
	}
	if n, plain = r.Copy(dst); n != PayloadSize || !plain || dst[0] != 4 {
		t.Errorf("%d bytes, plain %v", n, plain)
	}
	if n, _ = r.Copy(dst); n != 0 || r.Bound() != 0 || len(r.packets) != PacketSize {
		t.Errorf("%d bytes more, %d at most, %d behind", n, r.Bound(), len(r.packets))
	}
	r = Run{packets: all, header: header | 14, left: 2}
	if n, _ = r.Copy(dst[:PayloadSize+1]); n != PayloadSize || r.Bound() != PayloadSize {
		t.Errorf("%d bytes where there is room for one packet, then %d", n, r.Bound())
	}
	if n, _ = r.Copy(dst); n != PayloadSize || dst[0] != 3 {
		t.Errorf("%d bytes of a bounded run", n)
	}
	if n, _ = r.Copy(dst); n != 0 {
		t.Errorf("%d bytes beyond the bound", n)
	}
	r = Run{packets: all, header: header | 14, left: 5}
	if r.skip(); len(r.packets) != PacketSize || r.left != 0 || r.header != header|2 {
		t.Errorf("%d bytes are left, the header is %x", len(r.packets), r.header)
	}
}
