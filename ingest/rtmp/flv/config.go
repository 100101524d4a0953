package flv

import (
	"encoding/binary"
	"math"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// videoConfig is what a sequence header says: an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1) or an
// HEVCDecoderConfigurationRecord (8.3.3.1).
type videoConfig struct {
	lengthSize    int // bytes of a NAL unit's length: 1, 2 or 4
	vps, sps, pps [][]byte
	width, height int     // 0 where the SPS could not be read
	frameRate     float64 // 0 where the SPS does not say it
}

// parseVideoConfig gives nil where no decoder could be set up from b. The result refers to b.
func parseVideoConfig(c ingest.Codec, b []byte) *videoConfig {
	v := &videoConfig{}
	ok := false
	if c == ingest.H264 {
		ok = v.avc(b)
	} else {
		ok = v.hevc(b)
	}
	if !ok || v.lengthSize == 3 || len(v.sps) == 0 || len(v.pps) == 0 || (c == ingest.H265 && len(v.vps) == 0) {
		return nil
	}
	v.dimensions(c)
	return v
}

func (v *videoConfig) avc(b []byte) bool {
	if len(b) < 6 {
		return false
	}
	v.lengthSize = int(b[4]&3) + 1
	p := params{b: b[5:]}
	v.sps = p.list(int(p.byte() & 0x1f))
	v.pps = p.list(int(p.byte()))
	return !p.short
}

func (v *videoConfig) hevc(b []byte) bool {
	if len(b) < 23 {
		return false
	}
	v.lengthSize = int(b[21]&3) + 1
	p := params{b: b[23:]}
	for range b[22] {
		kind := p.byte() & 0x3f
		units := p.list(int(p.uint16()))
		switch h265.NALUType(kind) {
		case h265.NALUType_VPS_NUT:
			v.vps = append(v.vps, units...)
		case h265.NALUType_SPS_NUT:
			v.sps = append(v.sps, units...)
		case h265.NALUType_PPS_NUT:
			v.pps = append(v.pps, units...)
		}
	}
	return !p.short
}

// dimensions reads the first SPS. One that cannot be read is no reason to refuse a stream that players may well play.
func (v *videoConfig) dimensions(c ingest.Codec) {
	var fps float64
	if c == ingest.H264 {
		var s h264.SPS
		if s.Unmarshal(v.sps[0]) != nil {
			return
		}
		v.width, v.height, fps = s.Width(), s.Height(), s.FPS()
	} else {
		var s h265.SPS
		if s.Unmarshal(v.sps[0]) != nil {
			return
		}
		v.width, v.height, fps = s.Width(), s.Height(), s.FPS()
	}
	if v.width < 1 || v.height < 1 || v.width > maxDimension || v.height > maxDimension {
		v.width, v.height = 0, 0
	}
	v.frameRate = plausibleRate(fps)
}

// maxDimension is the largest width and height, in pixels, that is believed.
const maxDimension = 16384

// plausibleRate is fps where it can be a frame rate, else 0.
func plausibleRate(fps float64) float64 {
	if math.IsNaN(fps) || fps < 0.1 || fps > 1000 {
		return 0
	}
	return fps
}

func (v *videoConfig) track(c ingest.Codec, m *Metadata) *ingest.Track {
	t := &ingest.Track{
		Codec: c, VPS: v.vps, SPS: v.sps, PPS: v.pps,
		Width: v.width, Height: v.height, FrameRate: v.frameRate,
		Bitrate: m.VideoBitrate, KeyframeInterval: m.KeyframeInterval, Alone: m.HasVideo && !m.HasAudio,
	}
	if t.Width == 0 {
		t.Width, t.Height = m.Width, m.Height
	}
	if t.FrameRate == 0 {
		t.FrameRate = m.FrameRate
	}
	return t
}

// params reads lists of parameter sets; short tells that something was missing.
type params struct {
	b     []byte
	short bool
}

func (p *params) byte() byte {
	if len(p.b) < 1 {
		p.short = true
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *params) uint16() uint16 {
	if len(p.b) < 2 {
		p.short, p.b = true, nil
		return 0
	}
	n := binary.BigEndian.Uint16(p.b)
	p.b = p.b[2:]
	return n
}

func (p *params) list(count int) [][]byte {
	var l [][]byte
	for ; count > 0 && !p.short; count-- {
		n := int(p.uint16())
		if n > len(p.b) {
			p.short = true
			return nil
		}
		if n > 0 {
			l = append(l, p.b[:n:n])
		}
		p.b = p.b[n:]
	}
	return l
}
