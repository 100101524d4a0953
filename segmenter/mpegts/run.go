package mpegts

import "encoding/binary"

// PayloadSize is the room for payload in a packet without an adaptation field, in bytes.
const PayloadSize = PacketSize - HeaderSize

// Run is packets that go on with one PES packet, one behind the other, and have nothing but payload.
type Run struct {
	packets []byte // the run, and whatever is behind it
	header  uint32 // of the run's next packet
	left    int    // packets at most
}

// Bound is how many bytes of payload the run has at most.
func (r *Run) Bound() int { return r.left * PayloadSize }

// Copy copies payload to dst, that of whole packets, and returns its length in bytes. It stops where the run is over, where dst has no
// room for another, and behind a packet that may have a start code in it, or the first two bytes of one: plain is false then. No
// start code of three bytes ends in what it copied before that packet, but for one that began in an earlier call. A segment is
// read once from memory that is in no cache: so packets are told from others, copied and looked at in one go.
func (r *Run) Copy(dst []byte) (n int, plain bool) {
	p, header, left := r.packets, r.header, r.left
	for plain = true; plain && left > 0 && len(dst)-n >= PayloadSize; left-- {
		if binary.BigEndian.Uint32(p) != header {
			left = 0
			break
		}
		plain = carry((*[PayloadSize]byte)(dst[n:]), (*[PayloadSize]byte)(p[HeaderSize:]))
		header = header&^15 | (header+1)&15
		p, n = p[PacketSize:], n+PayloadSize
	}
	r.packets, r.header, r.left = p, header, left
	return n, plain
}

// skip passes over what is left of the run.
func (r *Run) skip() {
	for ; r.left > 0 && binary.BigEndian.Uint32(r.packets) == r.header; r.left-- {
		r.header = r.header&^15 | (r.header+1)&15
		r.packets = r.packets[PacketSize:]
	}
	r.left = 0
}
