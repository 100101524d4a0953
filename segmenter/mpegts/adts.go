package mpegts

import "fmt"

const (
	adtsSize = 7
	// maxADTSFrame is the longest raw AAC frame that the 13 bits of an ADTS frame length can announce.
	maxADTSFrame = 1<<13 - 1 - adtsSize
)

// adts makes ADTS headers (ISO/IEC 14496-3 1.A.3.2) for one AudioSpecificConfig.
type adts struct {
	header [adtsSize]byte // with length 0
	rate   int            // Hz, of the core coder
}

// newADTS reads an AudioSpecificConfig. HE-AAC becomes its AAC core: ADTS cannot say more, and decoders find the
// extension in the frames (implicit signalling).
func newADTS(asc []byte) (adts, error) {
	r := bitReader{data: asc}
	object := r.objectType()
	index, rate := r.frequency()
	channels := r.bits(4)
	if object == 5 || object == 29 { // SBR, PS: the core's object type follows the extension's frequency
		r.frequency()
		object = r.objectType()
	}
	shortFrames := r.bits(1)
	switch {
	case r.short:
		return adts{}, fmt.Errorf("mpegts: AudioSpecificConfig of %d bytes is cut short", len(asc))
	case object < 1 || object > 4:
		return adts{}, fmt.Errorf("mpegts: audio object type %d has no form in ADTS; use AAC-LC or HE-AAC", object)
	case index > 12:
		return adts{}, fmt.Errorf("mpegts: sampling rate %d Hz has no form in ADTS", rate)
	case channels < 1 || channels > 7:
		return adts{}, fmt.Errorf("mpegts: AAC channel configuration %d has no form in ADTS", channels)
	case shortFrames != 0:
		return adts{}, fmt.Errorf("mpegts: AAC frames of 960 samples have no form in ADTS")
	}
	return adts{
		rate: rate,
		header: [adtsSize]byte{
			0xFF, 0xF1, // MPEG-4, no CRC
			byte(object-1)<<6 | byte(index)<<2 | byte(channels>>2),
			byte(channels&3) << 6,
			0, 0x1F, 0xFC, // buffer fullness 0x7FF: variable rate; one raw block
		},
	}, nil
}

// append appends the header of a frame of size bytes, at most maxADTSFrame.
func (a *adts) append(dst []byte, size int) []byte {
	h := a.header
	n := size + adtsSize
	h[3] |= byte(n >> 11)
	h[4] = byte(n >> 3)
	h[5] |= byte(n << 5)
	return append(dst, h[:]...)
}

// samplesPerAAC is the length of a frame in samples of the core coder.
const samplesPerAAC = 1024

// aacRate is the frequency in Hz of a sampling frequency index, 0 where it is reserved.
func aacRate(index int) int {
	rates := [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	if index >= len(rates) {
		return 0
	}
	return rates[index]
}

// bitReader reads big-endian bits; past the end it gives zeros and says so.
type bitReader struct {
	data  []byte
	at    int // bits
	short bool
}

func (r *bitReader) bits(n int) int {
	v := 0
	for range n {
		v <<= 1
		if r.at/8 >= len(r.data) {
			r.short = true
			continue
		}
		v |= int(r.data[r.at/8]>>(7-r.at%8)) & 1
		r.at++
	}
	return v
}

func (r *bitReader) objectType() int {
	if t := r.bits(5); t != 31 {
		return t
	}
	return 32 + r.bits(6)
}

// frequency reads a sampling frequency. One that is spelt out gets the index of its like, 15 where there is none.
func (r *bitReader) frequency() (index, rate int) {
	index = r.bits(4)
	if index != 15 {
		return index, aacRate(index)
	}
	rate = r.bits(24)
	for i := range 13 {
		if aacRate(i) == rate {
			return i, rate
		}
	}
	return 15, rate
}
