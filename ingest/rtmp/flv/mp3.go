package flv

// mp3Header is the header of one MPEG layer III frame (ISO/IEC 11172-3 2.4.1.3; MPEG-2.5 as every decoder reads it).
type mp3Header struct {
	audioConfig
	size    int // bytes, header included
	samples int // per channel
}

// Bit rates of layer III in kb/s, by index; 0 is free format and 15 is forbidden.
var (
	mp3Rates1 = [16]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}
	mp3Rates2 = [16]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}
	mp3Hz     = [4]int{44100, 48000, 32000, 0}
)

func parseMP3(b []byte) (h mp3Header, ok bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 || b[1]>>1&3 != 1 {
		return h, false
	}
	hz := mp3Hz[b[2]>>2&3]
	var rate, slots int
	switch b[1] >> 3 & 3 {
	case 3: // MPEG-1
		rate, slots, h.samples = mp3Rates1[b[2]>>4], 144, 1152
	case 2: // MPEG-2
		rate, slots, h.samples = mp3Rates2[b[2]>>4], 72, 576
		hz /= 2
	case 0: // MPEG-2.5
		rate, slots, h.samples = mp3Rates2[b[2]>>4], 72, 576
		hz /= 4
	}
	if rate == 0 || hz == 0 {
		return h, false
	}
	h.size = slots*rate*1000/hz + int(b[2]>>1&1)
	h.sampleRate, h.channels = hz, 2
	if b[3]>>6 == 3 {
		h.channels = 1
	}
	return h, true
}
