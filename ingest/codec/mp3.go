package codec

// MP3Header is the header of one MPEG layer III frame (ISO/IEC 11172-3 2.4.1.3, 13818-3 2.4.2.3, and the 2.5 extension that
// encoders use for 8 to 12 kHz).
type MP3Header struct {
	Rate     int // samples per second
	Channels int
	Size     int // bytes, header included; 0 for the free format, which does not state it
	Samples  int // per channel
}

// MP3Name is the coding's RFC 6381 name, for CODECS.
const MP3Name = "mp4a.40.34"

// MP3MPEG1 is the lowest rate of MPEG-1 in Hz. Lower rates belong to MPEG-2 and 2.5, whose frames are half as long.
const MP3MPEG1 = 32000

// Bit rates of layer III in kb/s, by index; 0 is the free format and 15 is forbidden.
var (
	mp3Rates1 = [16]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}
	mp3Rates2 = [16]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}
	mp3Hz     = [4]int{44100, 48000, 32000, 0}
)

// ParseMP3 reads the header at the start of b; ok is false if it is not a layer III frame.
func ParseMP3(b []byte) (h MP3Header, ok bool) {
	if len(b) < 4 || b[0] != 0xFF || b[1]&0xE0 != 0xE0 || b[1]>>1&3 != 1 || b[2]>>4 == 15 {
		return h, false
	}
	h.Rate = mp3Hz[b[2]>>2&3]
	var rate, slots int
	switch b[1] >> 3 & 3 {
	case 3: // MPEG-1
		rate, slots, h.Samples = mp3Rates1[b[2]>>4], 144, 1152
	case 2: // MPEG-2
		rate, slots, h.Samples = mp3Rates2[b[2]>>4], 72, 576
		h.Rate /= 2
	case 0: // MPEG-2.5
		rate, slots, h.Samples = mp3Rates2[b[2]>>4], 72, 576
		h.Rate /= 4
	default:
		return h, false
	}
	if h.Rate == 0 {
		return h, false
	}
	if rate > 0 {
		h.Size = slots*rate*1000/h.Rate + int(b[2]>>1&1)
	}
	h.Channels = 2
	if b[3]>>6 == 3 {
		h.Channels = 1
	}
	return h, true
}

// MP3FrameDuration returns the length of a frame at a rate in Hz, in 90 kHz ticks, rounded down.
func MP3FrameDuration(rate int) int64 {
	if rate < MP3MPEG1 {
		return 576 * Clock / int64(max(rate, 8000))
	}
	return 1152 * Clock / int64(rate)
}
