package mpegts

// mp3Timing reads the header of an MPEG audio frame (ISO/IEC 11172-3 2.4.1.3, 13818-3 2.4.2.3, and the 2.5 extension that
// encoders use for 8 to 12 kHz): samples per frame and their rate in Hz. ok is false for what is no layer III frame.
func mp3Timing(frame []byte) (samples, rate int, ok bool) {
	if len(frame) < 4 || frame[0] != 0xFF || frame[1]&0xE0 != 0xE0 {
		return 0, 0, false
	}
	version, layer, index := frame[1]>>3&3, frame[1]>>1&3, frame[2]>>2&3
	if version == 1 || layer != 1 || index == 3 {
		return 0, 0, false
	}
	rate = [...]int{44100, 48000, 32000}[index]
	switch version {
	case 3: // MPEG-1
		return 1152, rate, true
	case 2: // MPEG-2
		return 576, rate / 2, true
	default: // MPEG-2.5
		return 576, rate / 4, true
	}
}
