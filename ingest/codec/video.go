package codec

import (
	"bytes"
	"errors"
	"math"
	"slices"
)

// Video is the configuration of a video track: its parameter sets, without start codes, and what the first SPS says.
type Video struct {
	Codec         Codec
	VPS, SPS, PPS [][]byte // VPS for H.265 only

	Width, Height int     // as displayed, pixels; 0 if the SPS does not say
	FrameRate     float64 // frames per second; 0 if the SPS does not say
	Reorder       int     // pictures that may be decoded before another and shown after it; -1 if the SPS does not say
	transfer      uint8   // transfer_characteristics (ISO/IEC 23091-2 table 3)
}

// Limits on what is believed of an SPS.
const (
	maxDimension = 16384
	minFrameRate = 0.1
	maxFrameRate = 1000
)

// Complete reports whether the sets are enough to set up a decoder.
func (v *Video) Complete() bool {
	if len(v.SPS) == 0 || len(v.PPS) == 0 {
		return false
	}
	if v.Codec == H264 {
		return len(v.SPS[0]) >= 4
	}
	return len(v.VPS) > 0 && len(v.SPS[0]) >= 15
}

// Describe reads the first SPS. An error is no reason to refuse a stream: players may well play what is not understood here. Absurd values
// are ignored.
func (v *Video) Describe() (err error) {
	v.Width, v.Height, v.FrameRate, v.Reorder, v.transfer = 0, 0, 0, -1, 0
	switch {
	case !v.Complete():
		return errors.New("parameter sets are missing")
	case v.Codec == H264:
		err = v.describeH264()
	default:
		err = v.describeH265()
	}
	if v.Width < 1 || v.Height < 1 || v.Width > maxDimension || v.Height > maxDimension {
		v.Width, v.Height = 0, 0
	}
	v.FrameRate = PlausibleRate(v.FrameRate)
	return err
}

// PlausibleRate returns fps if it can be a frame rate, else 0.
func PlausibleRate(fps float64) float64 {
	if math.IsNaN(fps) || fps < minFrameRate || fps > maxFrameRate {
		return 0
	}
	return fps
}

// Same reports whether a decoder can switch from one configuration to the other without a reset. Only what selects the decoder counts:
// picture parameter sets are repeated before every keyframe anyway.
func (v *Video) Same(o *Video) bool {
	return v.Codec == o.Codec && slices.EqualFunc(v.SPS, o.SPS, bytes.Equal) && slices.EqualFunc(v.VPS, o.VPS, bytes.Equal)
}

// Sets returns the parameter sets in the order they have before a keyframe.
func (v *Video) Sets() [][]byte { return slices.Concat(v.VPS, v.SPS, v.PPS) }

// Name returns the coding's RFC 6381 name, for CODECS.
func (v *Video) Name() string {
	if len(v.SPS) == 0 {
		return map[Codec]string{H264: "avc1", H265: "hvc1"}[v.Codec]
	}
	if v.Codec == H264 {
		return h264Codecs(v.SPS[0])
	}
	return h265Codecs(v.SPS[0])
}

// Range returns the value of VIDEO-RANGE (rfc8216bis 4.4.6.2) for the transfer characteristics in the VUI: "PQ" for 16, "HLG" for 18, else
// "SDR". If the VUI says 14 for HLG and an SEI corrects it, players take it for SDR, too.
func (v *Video) Range() string {
	switch v.transfer {
	case 16:
		return "PQ"
	case 18:
		return "HLG"
	}
	return "SDR"
}

// FrameDuration returns the time between two frames at a rate, in 90 kHz ticks. If the rate is unknown, it assumes 25 frames per second.
func FrameDuration(rate float64) int64 {
	if rate = PlausibleRate(rate); rate > 0 {
		return int64(Clock / rate)
	}
	return Clock / 25
}
