package codec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// AACConfig is what an AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1) says that an ADTS header needs: it is about the core
// coder. HE-AAC's extensions, announced in front, behind or not at all, change none of it; decoders find them in the frames.
type AACConfig struct {
	Object        int // audio object type of the core: 1 Main, 2 LC, 3 SSR, 4 LTP
	Announced     int // audio object type as it is announced: 5 or 29 for HE-AAC with explicit signalling
	RateIndex     int // samplingFrequencyIndex
	Rate          int // Hz
	ChannelConfig int // channelConfiguration, 1 to 7; of a program config element the one with the same speakers
	Channels      int
	ByElement     bool // the channels were read from a program config element, which an AudioSpecificConfig of ASC has none of
}

// Audio object types (ISO/IEC 14496-3 1.5.1).
const (
	objectLTP = 4
	objectSBR = 5
	objectPS  = 29
)

// AACSamples is the length of an AAC frame, in samples of the core coder.
const AACSamples = 1024

// MaxAACFrame is the longest raw AAC frame, in bytes, that the 13 bits of an ADTS frame length can announce.
const MaxAACFrame = 1<<13 - 1 - ADTSSize

// minAACFrame is the shortest that a frame with a channel in it can be: element, tag, gain, window and the end take 32 bits.
const minAACFrame = 4

// aacRates by samplingFrequencyIndex (ISO/IEC 14496-3 1.6.3.4), Hz.
var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

var errASC = errors.New("AudioSpecificConfig is cut short or invalid")

// AACRateIndex is the samplingFrequencyIndex of a rate in Hz; false where it has none.
func AACRateIndex(rate int) (index int, ok bool) {
	index = slices.Index(aacRates[:], rate)
	return index, index >= 0
}

// AACRate is the listed rate closest to one that was measured, Hz.
func AACRate(measured float64) int {
	best := aacRates[0]
	for _, r := range aacRates {
		if abs(float64(r)-measured) < abs(float64(best)-measured) {
			best = r
		}
	}
	return best
}

func abs(v float64) float64 { return max(v, -v) }

// ParseASC reads an AudioSpecificConfig. What is well formed and has no form in ADTS is an *Unsupported.
func ParseASC(b []byte) (c AACConfig, err error) {
	r := bitReader{data: b}
	c.Object = r.objectType()
	c.Announced = c.Object
	rate := r.rate()
	c.ChannelConfig = int(r.bits(4))
	if c.Object == objectSBR || c.Object == objectPS { // the core's object type follows the extension's frequency
		r.rate()
		c.Object = r.objectType()
	}
	shortFrames := r.bits(1) == 1 // frameLengthFlag
	if r.short {
		return AACConfig{}, errASC
	}
	if c.Object < 1 || c.Object > objectLTP {
		return AACConfig{}, &Unsupported{objectName(c.Object) + " audio", "set the encoder to AAC-LC or HE-AAC"}
	}
	index, ok := AACRateIndex(rate)
	switch {
	case rate == 0:
		return AACConfig{}, errASC
	case !ok:
		return AACConfig{}, &Unsupported{fmt.Sprintf("AAC at %d Hz", rate), "set the encoder to 48000 or 44100 Hz"}
	case shortFrames:
		return AACConfig{}, &Unsupported{"AAC with frames of 960 samples", "set the encoder to frames of 1024"}
	}
	c.RateIndex, c.Rate = index, rate
	if c.ChannelConfig == 0 {
		if r.bits(1) == 1 { // dependsOnCoreCoder
			r.skip(14)
		}
		r.skip(1) // extensionFlag
		layout := r.programConfig()
		c.ByElement = true
		if r.short {
			return AACConfig{}, errASC
		}
		if c.ChannelConfig = layout.channelConfig(); c.ChannelConfig == 0 {
			return AACConfig{}, &Unsupported{fmt.Sprintf("AAC with a channel layout of its own (%v)", layout),
				"set the encoder to mono, stereo or 5.1; with ffmpeg: -af aformat=channel_layouts=5.1"}
		}
	}
	if c.Channels = c.ChannelConfig; c.ChannelConfig == 7 {
		c.Channels = 8
	}
	if c.ChannelConfig > 7 {
		return AACConfig{}, &Unsupported{fmt.Sprintf("AAC channel configuration %d", c.ChannelConfig), "set the encoder to mono, stereo or 5.1"}
	}
	return c, nil
}

// ASC is the AudioSpecificConfig of the core coder, two bytes long.
func (c AACConfig) ASC() []byte {
	return []byte{byte(c.Object<<3 | c.RateIndex>>1), byte(c.RateIndex<<7 | c.ChannelConfig<<3)}
}

// Name is the RFC 6381 name of the coding, for CODECS.
func (c AACConfig) Name() string { return fmt.Sprintf("mp4a.40.%d", c.Announced) }

// FrameDuration is the length of a frame in 90 kHz ticks, rounded down.
func (c AACConfig) FrameDuration() int64 { return AACSamples * Clock / int64(c.Rate) }

// IsAACFrame reports whether b can be a raw AAC frame of a track with the given AudioSpecificConfig. Some encoders send the
// configuration as if it were a frame; one such frame ends the decoders of browsers for good.
func IsAACFrame(b, asc []byte) bool {
	return len(b) >= minAACFrame && len(b) <= MaxAACFrame && !bytes.Equal(b, asc)
}

// speakers is a program config element's layout (ISO/IEC 14496-3 4.4.1.1): the number of channels at each place.
type speakers struct{ front, side, back, lfe int }

func (s speakers) String() string {
	return fmt.Sprintf("%d front, %d side, %d back, %d LFE channels", s.front, s.side, s.back, s.lfe)
}

// channelConfig is the channelConfiguration with as many speakers (ISO/IEC 14496-3 table 1.19); 0 where there is none. The
// two surround channels of 5.1 may stand at the side, as in film, or at the back.
func (s speakers) channelConfig() int {
	rear := s.side + s.back
	switch {
	case s.lfe == 0 && rear == 0 && s.front >= 1 && s.front <= 3:
		return s.front
	case s.lfe == 0 && s.front == 3 && rear == 1:
		return 4
	case s.lfe == 0 && s.front == 3 && rear == 2:
		return 5
	case s.lfe == 1 && s.front == 3 && rear == 2:
		return 6
	case s.lfe == 1 && s.front == 5 && rear == 2:
		return 7
	}
	return 0
}

// programConfig reads a program_config_element as far as its channels.
func (r *bitReader) programConfig() (s speakers) {
	r.skip(4 + 2 + 4) // element_instance_tag, object_type, sampling_frequency_index
	front, side, back, lfe, assoc, coupling := r.bits(4), r.bits(4), r.bits(4), r.bits(2), r.bits(3), r.bits(4)
	for _, n := range []int{4, 4, 3} { // mono, stereo and matrix mixdown
		if r.bits(1) == 1 {
			r.skip(n)
		}
	}
	for _, place := range []struct {
		n  uint32
		to *int
	}{{front, &s.front}, {side, &s.side}, {back, &s.back}} {
		for range place.n {
			*place.to += 1 + int(r.bits(1)) // a pair has two
			r.skip(4)
		}
	}
	s.lfe = int(lfe)
	r.skip(int(4*lfe + 4*assoc + 5*coupling))
	return s
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
	return fmt.Sprintf("AAC of audio object type %d", object)
}

func (r *bitReader) objectType() int {
	if t := r.bits(5); t != 31 {
		return int(t)
	}
	return 32 + int(r.bits(6))
}

// rate reads a sampling frequency in Hz; 0 where its index is reserved.
func (r *bitReader) rate() int {
	i := int(r.bits(4))
	if i == 15 {
		return int(r.bits(24))
	}
	if i < len(aacRates) {
		return aacRates[i]
	}
	return 0
}
