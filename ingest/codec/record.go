package codec

import (
	"encoding/binary"
	"errors"
)

// ErrRecord is the error for a configuration record that is truncated or says nothing useful.
var ErrRecord = errors.New("decoder configuration record is cut short or empty")

// ParseRecord reads the configuration record that containers put before a video track: AVCDecoderConfigurationRecord (ISO/IEC 14496-15
// 5.3.3.1) or HEVCDecoderConfigurationRecord (8.3.3.1). Some encoders send parameter sets with start codes instead; it reads these as well.
// lengthSize is the number of bytes of a NAL unit's length: 1, 2 or 4. The result refers to b, and Describe has been called on it.
func ParseRecord(c Codec, b []byte) (v *Video, lengthSize int, err error) {
	v, lengthSize = &Video{Codec: c}, 4
	switch {
	case StartCode(b) > 0:
		for u := range AnnexB(b) {
			v.add(u)
		}
	case c == H264:
		lengthSize, err = v.avcC(b)
	default:
		lengthSize, err = v.hvcC(b)
	}
	if err != nil {
		return nil, 0, err
	}
	if lengthSize == 3 || !v.Complete() {
		return nil, 0, ErrRecord
	}
	_ = v.Describe() // a decoder may understand more than we do
	return v, lengthSize, nil
}

// add stores a parameter set by its own type and ignores anything else.
func (v *Video) add(u []byte) {
	switch v.Codec.NAL(u) {
	case KindVPS:
		v.VPS = append(v.VPS, u)
	case KindSPS:
		v.SPS = append(v.SPS, u)
	case KindPPS:
		v.PPS = append(v.PPS, u)
	}
}

func (v *Video) avcC(b []byte) (lengthSize int, err error) {
	if len(b) < 6 {
		return 0, ErrRecord
	}
	p := recordReader{b: b[5:]}
	for _, u := range p.list(int(p.byte() & 0x1F)) { // SPS
		v.add(u)
	}
	for _, u := range p.list(int(p.byte())) { // PPS
		v.add(u)
	}
	if p.short {
		return 0, ErrRecord
	}
	return int(b[4]&3) + 1, nil
}

func (v *Video) hvcC(b []byte) (lengthSize int, err error) {
	if len(b) < 23 {
		return 0, ErrRecord
	}
	p := recordReader{b: b[23:]}
	for range b[22] {
		p.byte() // array_completeness and the type
		for _, u := range p.list(int(p.uint16())) {
			v.add(u)
		}
	}
	if p.short {
		return 0, ErrRecord
	}
	return int(b[21]&3) + 1, nil
}

// recordReader reads lists of parameter sets. short is set if something was missing.
type recordReader struct {
	b     []byte
	short bool
}

func (p *recordReader) byte() byte {
	if len(p.b) < 1 {
		p.short = true
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *recordReader) uint16() uint16 {
	if len(p.b) < 2 {
		p.short, p.b = true, nil
		return 0
	}
	n := binary.BigEndian.Uint16(p.b)
	p.b = p.b[2:]
	return n
}

func (p *recordReader) list(count int) [][]byte {
	var l [][]byte
	for ; count > 0 && !p.short; count-- {
		n := int(p.uint16())
		if n > len(p.b) {
			p.short = true
			return nil
		}
		if n > 0 {
			l = append(l, p.b[:n:n])
		}
		p.b = p.b[n:]
	}
	return l
}
