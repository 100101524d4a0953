package codec

// SEI payload types that are read (H.264 D.1, H.265 D.2.1); both codecs number them alike.
const (
	seiUserDataT35       = 4
	h264RecoveryPoint    = 6
	h265RecoveryPoint    = 6
	maxSEIMessages       = 32
	maxRecoveryPoint     = 1 << 16
	t35USA               = 0xB5 // country code
	t35ATSC              = 0x31 // provider code 0x0031
	atscCaptions         = 0x03 // user_data_type_code: cc_data
	userDataIdentifierGA = "GA94"
)

// sei reads the messages of an SEI unit behind a header of so many bytes.
func (s *Survey) sei(u []byte, header int, recovery uint32) {
	if len(u) <= header {
		return
	}
	u = u[header:]
	for range maxSEIMessages {
		if len(u) < 2 || u[0] == 0x80 && len(u) == 1 {
			return
		}
		kind, size := uint32(0), 0
		for len(u) > 0 && u[0] == 0xFF {
			kind, u = kind+255, u[1:]
		}
		if len(u) == 0 {
			return
		}
		kind, u = kind+uint32(u[0]), u[1:]
		for len(u) > 0 && u[0] == 0xFF {
			size, u = size+255, u[1:]
		}
		if len(u) == 0 {
			return
		}
		size, u = size+int(u[0]), u[1:]
		// Emulation prevention makes a payload longer than it says; the messages behind are then found a byte early, and
		// looked for in vain. Encoders put what is read here first.
		body := u[:min(size, len(u))]
		switch kind {
		case recovery:
			s.recovery(body)
		case seiUserDataT35:
			s.Captions = s.Captions || isCaptions(body)
		}
		if size >= len(u) {
			return
		}
		u = u[size:]
	}
}

// recovery reads a recovery point: recovery_frame_cnt of H.264 is unsigned, recovery_poc_cnt of H.265 signed.
func (s *Survey) recovery(body []byte) {
	r := bitReader{data: body, escaped: true}
	n := r.ue()
	if r.short || n > maxRecoveryPoint || s.Access > Recovery {
		return
	}
	s.Access, s.RecoverIn = Recovery, int(n)
}

func isCaptions(b []byte) bool {
	return len(b) >= 8 && b[0] == t35USA && b[1] == 0 && b[2] == t35ATSC && string(b[3:7]) == userDataIdentifierGA && b[7] == atscCaptions
}
