package codec

// bitReader reads bits, most significant first. Past the end it gives zeros and sets short, so that a parser may check
// once, at its end.
type bitReader struct {
	data  []byte
	at    int  // bits
	short bool // something past the end was asked for
	// escaped leaves out emulation prevention bytes, as NAL units have them (ISO/IEC 14496-10 7.4.1).
	escaped bool
	zeros   int // bytes of zero before the current one
}

func (r *bitReader) bit() uint32 {
	i := r.at >> 3
	if r.escaped && r.at&7 == 0 && i < len(r.data) {
		if r.zeros >= 2 && r.data[i] == 3 {
			r.at, r.zeros = r.at+8, 0
			i++
		}
		if i < len(r.data) {
			if r.data[i] == 0 {
				r.zeros++
			} else {
				r.zeros = 0
			}
		}
	}
	if i >= len(r.data) {
		r.short = true
		return 0
	}
	b := uint32(r.data[i]>>(7-r.at&7)) & 1
	r.at++
	return b
}

// bits reads up to 32 bits.
func (r *bitReader) bits(n int) (v uint32) {
	for ; n > 0; n-- {
		v = v<<1 | r.bit()
	}
	return v
}

// skip passes over bits.
func (r *bitReader) skip(n int) {
	for ; n > 0 && !r.short; n-- {
		r.bit()
	}
}

// ue reads an unsigned Exp-Golomb number (ISO/IEC 14496-10 9.1).
func (r *bitReader) ue() uint32 {
	zeros := 0
	for r.bit() == 0 {
		if zeros++; zeros > 31 || r.short {
			r.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}
