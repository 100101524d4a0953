package flv

import (
	"errors"
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest"
)

var errASC = errors.New("flv: AudioSpecificConfig cut short or invalid")

// sampleRates by samplingFrequencyIndex (ISO/IEC 14496-3 1.6.3.4).
var sampleRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// Audio object types (ISO/IEC 14496-3 1.5.1).
const (
	objectLTP = 4
	objectSBR = 5
	objectPS  = 29
)

// parseASC reads an AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1) as far as an ADTS header needs it: the rate and the
// channels of the core coder. HE-AAC's extensions, announced in front, behind or not at all, change neither.
func parseASC(b []byte) (audioConfig, error) {
	r := bitReader{b: b}
	object := r.object()
	rate := r.rate()
	channels := int(r.bits(4))
	if object == objectSBR || object == objectPS {
		r.rate() // of the extension
		object = r.object()
	}
	short := r.bits(1) == 1 // frameLengthFlag
	switch {
	case r.short:
		return audioConfig{}, errASC
	case object < 1 || object > objectLTP:
		return audioConfig{}, ingest.Refuse(ingest.Unsupported, "%s audio is not supported: set the encoder to AAC-LC or HE-AAC", objectName(object))
	case rate == 0:
		return audioConfig{}, errASC
	case !slices.Contains(sampleRates[:], rate):
		return audioConfig{}, ingest.Refuse(ingest.Unsupported, "AAC at %d Hz is not supported: set the encoder to 48000 or 44100 Hz", rate)
	case short:
		return audioConfig{}, ingest.Refuse(ingest.Unsupported, "AAC with frames of 960 samples is not supported: set the encoder to frames of 1024")
	case channels == 0 || channels > 7:
		return audioConfig{}, ingest.Refuse(ingest.Unsupported, "AAC with a channel layout of its own is not supported: set the encoder to mono, stereo or 5.1")
	case channels == 7:
		channels = 8
	}
	return audioConfig{sampleRate: rate, channels: channels}, nil
}

func objectName(object int) string {
	switch object {
	case 23:
		return "AAC-LD"
	case 39:
		return "AAC-ELD"
	case 42:
		return "xHE-AAC"
	}
	return "this profile of AAC"
}

// bitReader reads bits, most significant first; past the end it gives zeros and sets short.
type bitReader struct {
	b     []byte
	pos   int
	short bool
}

func (r *bitReader) bits(n int) (v uint32) {
	for ; n > 0; n-- {
		v <<= 1
		if i := r.pos >> 3; i < len(r.b) {
			v |= uint32(r.b[i]>>(7-r.pos&7)) & 1
		} else {
			r.short = true
		}
		r.pos++
	}
	return v
}

func (r *bitReader) object() int {
	if o := r.bits(5); o != 31 {
		return int(o)
	}
	return 32 + int(r.bits(6))
}

func (r *bitReader) rate() int {
	i := r.bits(4)
	if i == 15 {
		return int(r.bits(24))
	}
	if int(i) < len(sampleRates) {
		return sampleRates[i]
	}
	return 0
}
