package codec

// SEI payload types that are read. Both codecs use the same numbers (H.264 D.1, H.265 D.2.1).
const (
	seiUserDataT35   = 4
	seiRecoveryPoint = 6
)

// Limits on what is believed of an SEI.
const (
	maxSEIMessages   = 32
	maxRecoveryPoint = 1 << 16
)

// sei reads the messages of an SEI unit.
func (c Codec) sei(unit []byte, s *Survey) {
	r := rbsp{data: unit[min(c.header(), len(unit)):]}
	for range maxSEIMessages {
		if len(r.data) < 2 { // one byte is the stop bit of the unit
			return
		}
		kind, size := r.extended(), r.extended()
		switch kind {
		case seiRecoveryPoint:
			var body [8]byte
			n := r.read(body[:min(size, len(body))])
			s.recovery(c, body[:n])
			size -= n
		case seiUserDataT35:
			var body [maxCaptions]byte
			n := r.read(body[:min(size, len(body))])
			if isCaptions(body[:n]) {
				s.Captions = true
				s.Channels |= captions(body[:n])
			}
			size -= n
		}
		r.skip(size)
	}
}

// extended reads a payload's type or size: bytes of 255 add up, and the first other byte ends the number (H.264 7.3.2.3.1). At the end of
// the unit it returns the sum so far.
func (r *rbsp) extended() (n int) {
	for {
		b, ok := r.next()
		n += int(b)
		if !ok || b != 0xFF {
			return n
		}
	}
}

// recovery reads a recovery point. recovery_frame_cnt of H.264 (D.2.8) counts frames. recovery_poc_cnt of H.265 (D.3.8) counts picture
// orders, and is not positive if the picture itself is correct.
func (s *Survey) recovery(c Codec, body []byte) {
	r := bitReader{data: body}
	var n int64
	if c == H264 {
		n = int64(r.ue())
	} else {
		n = max(r.se(), 0)
	}
	if r.short || n > maxRecoveryPoint || s.Access > Recovery {
		return
	}
	s.Access, s.RecoverIn = Recovery, int(n)
}
