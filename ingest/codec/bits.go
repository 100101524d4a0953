package codec

// bitReader reads bits, most significant first. Past the end it returns zeros and sets short, so that a parser can check once, at its end.
type bitReader struct {
	data  []byte
	at    int  // bits
	short bool // something past the end was read
}

func (r *bitReader) bit() uint32 {
	i := r.at >> 3
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

// skip skips n bits.
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

// se reads a signed Exp-Golomb number (9.1.1).
func (r *bitReader) se() int64 {
	k := int64(r.ue())
	if k&1 == 1 {
		return (k + 1) / 2
	}
	return -k / 2
}
