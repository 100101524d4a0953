package codec

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// AACConfig is the part of an AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1) that an ADTS header needs. It describes the core coder.
// HE-AAC's extensions, signalled before it, after it or not at all, change nothing of it; decoders find them in the frames.
type AACConfig struct {
	Object        int // audio object type of the core: 1 Main, 2 LC, 3 SSR, 4 LTP
	Announced     int // audio object type as signalled: 5 or 29 for HE-AAC with explicit signalling
	RateIndex     int // samplingFrequencyIndex
	Rate          int // Hz
	ChannelConfig int // channelConfiguration, 1 to 7; for a program config element, the one with the same speakers
	Channels      int
}

// Audio object types (ISO/IEC 14496-3 1.5.1).
const (
	objectLC  = 2
	objectLTP = 4
	objectSBR = 5
	objectPS  = 29
)

// AACSamples is the length of an AAC frame, in samples of the core coder.
const AACSamples = 1024

// MaxAACFrame is the longest raw AAC frame, in bytes, that the 13 bits of an ADTS frame length can announce.
const MaxAACFrame = 1<<13 - 1 - ADTSSize

// minAACFrame is the shortest possible frame with a channel in it: element, tag, gain, window and end take 32 bits.
const minAACFrame = 4

// aacRates are the rates in Hz by samplingFrequencyIndex (ISO/IEC 14496-3 1.6.3.4).
var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

var errASC = errors.New("AudioSpecificConfig is cut short or invalid")

// AACRateIndex returns the samplingFrequencyIndex of a rate in Hz, and false if it has none.
func AACRateIndex(rate int) (index int, ok bool) {
	index = slices.Index(aacRates[:], rate)
	return index, index >= 0
}

// AACRate returns the standard rate, in Hz, closest to a measured one.
func AACRate(measured float64) int {
	return slices.MinFunc(aacRates[:], func(a, b int) int {
		return cmp.Compare(math.Abs(float64(a)-measured), math.Abs(float64(b)-measured))
	})
}

// ParseASC reads an AudioSpecificConfig. If it is valid but has no form in ADTS, the error is an *Unsupported.
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
		return AACConfig{}, &Unsupported{objectName(c.Object), "set the encoder to AAC-LC or HE-AAC"}
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
		if r.short {
			return AACConfig{}, errASC
		}
		if c.ChannelConfig = layout.channelConfig(); c.ChannelConfig == 0 {
			return AACConfig{}, &Unsupported{fmt.Sprintf("AAC with a channel layout of its own (%v)", layout),
				"set the encoder to mono, stereo or 5.1; with ffmpeg: -af aformat=channel_layouts=5.1"}
		}
	}
	if c.ChannelConfig > len(aacLayouts) {
		return AACConfig{}, &Unsupported{fmt.Sprintf("AAC channel configuration %d", c.ChannelConfig), "set the encoder to mono, stereo or 5.1"}
	}
	c.Channels = aacChannels(c.ChannelConfig)
	return c, nil
}

// aacChannels returns the number of channels of a channelConfiguration.
func aacChannels(config int) int {
	if config == 7 {
		return 8
	}
	return config
}

// ASC returns the AudioSpecificConfig of the core coder, two bytes.
func (c AACConfig) ASC() []byte {
	return []byte{byte(c.Object<<3 | c.RateIndex>>1), byte(c.RateIndex<<7 | c.ChannelConfig<<3)}
}

// Name returns the coding's RFC 6381 name, for CODECS.
func (c AACConfig) Name() string { return fmt.Sprintf("mp4a.40.%d", c.Announced) }

// FrameDuration returns the length of a frame in 90 kHz ticks, rounded down.
func (c AACConfig) FrameDuration() int64 { return AACSamples * Clock / int64(c.Rate) }

// IsAACFrame reports whether b can be a raw AAC frame of a track with the given AudioSpecificConfig. Some encoders send the configuration
// as if it were a frame; a single frame like that stops the decoders of browsers for good.
func IsAACFrame(b, asc []byte) bool {
	return len(b) >= minAACFrame && len(b) <= MaxAACFrame && !bytes.Equal(b, asc)
}

// objectName returns the name of an audio object type that has no form in ADTS.
func objectName(object int) string {
	switch object {
	case 23:
		return "AAC-LD"
	case 39:
		return "AAC-ELD"
	case 42:
		return "xHE-AAC"
	}
	return fmt.Sprintf("MPEG-4 audio object type %d", object)
}

func (r *bitReader) objectType() int {
	if t := r.bits(5); t != 31 {
		return int(t)
	}
	return 32 + int(r.bits(6))
}

// rate reads a sampling frequency in Hz; 0 if its index is reserved.
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
