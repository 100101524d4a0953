package mpegts

import "encoding/binary"

// carryWords copies the payload of a packet and reports whether it is plain. One that has a start code of three bytes in it is not, nor
// one that ends with two zeros, nor one that goes on with a start code of which it lacks the first zero: wherever such a code
// begins, one of the pairs of bytes that the payload consists of is 0 and 0, or 0 and 1. Of a pair's bytes the last bit and
// the first of the second are not looked at, so some other payload is not plain, either: one in two hundred. It is carry without the
// processor's vectors.
func carryWords(to, from *[PayloadSize]byte) bool {
	const (
		bits = 0x7EFF7EFF7EFF7EFF // what is looked at, the second byte being the higher one
		fill = 0x7FFF7FFF7FFF7FFF // added to it, it makes the topmost bit 1 unless all are 0
		tops = 0x8000800080008000
		step = 40
	)
	order := binary.LittleEndian
	all := uint64(tops)
	for i := 0; i+step <= PayloadSize; i += step {
		f, t := (*[step]byte)(from[i:]), (*[step]byte)(to[i:])
		a, b, c, d, e := order.Uint64(f[0:]), order.Uint64(f[8:]), order.Uint64(f[16:]), order.Uint64(f[24:]), order.Uint64(f[32:])
		order.PutUint64(t[0:], a)
		order.PutUint64(t[8:], b)
		order.PutUint64(t[16:], c)
		order.PutUint64(t[24:], d)
		order.PutUint64(t[32:], e)
		all &= (a&bits + fill) & (b&bits + fill) & (c&bits + fill) & (d&bits + fill) & (e&bits + fill)
	}
	for i := PayloadSize / step * step; i < PayloadSize; i += 8 {
		w := order.Uint64(from[i:])
		order.PutUint64(to[i:], w)
		all &= w&bits + fill
	}
	return all == tops
}
