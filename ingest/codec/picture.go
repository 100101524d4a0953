package codec

import (
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// Picture is what an SPS says of pictures beside their size, as containers repeat it.
type Picture struct {
	Chroma                 int  // chroma_format_idc; 1 is 4:2:0
	LumaDepth, ChromaDepth int  // bits of a sample
	SARWidth, SARHeight    int  // sample aspect ratio; 0: not said
	Colour                 bool // the following are said (ISO/IEC 23091-2)
	Primaries, Transfer    uint8
	Matrix                 uint8
	FullRange              bool
}

// Picture reads the first SPS. What is not understood is taken to be 4:2:0 with eight bits, of which nothing else is said.
func (v *Video) Picture() Picture {
	p := Picture{Chroma: 1, LumaDepth: 8, ChromaDepth: 8}
	if len(v.SPS) == 0 {
		return p
	}
	if v.Codec == H264 {
		var s h264.SPS
		if s.Unmarshal(v.SPS[0]) != nil {
			return p
		}
		if hasChroma(s.ProfileIdc) {
			p.depths(s.ChromaFormatIdc, s.BitDepthLumaMinus8, s.BitDepthChromaMinus8)
		}
		if u := s.VUI; u != nil {
			if u.AspectRatioInfoPresentFlag {
				p.aspect(u.AspectRatioIdc, u.SarWidth, u.SarHeight)
			}
			if u.ColourDescriptionPresentFlag {
				p.colour(u.VideoFullRangeFlag, u.ColourPrimaries, u.TransferCharacteristics, u.MatrixCoefficients)
			}
		}
		return p
	}
	var s h265.SPS
	if s.Unmarshal(v.SPS[0]) != nil {
		return p
	}
	p.depths(s.ChromaFormatIdc, s.BitDepthLumaMinus8, s.BitDepthChromaMinus8)
	if u := s.VUI; u != nil {
		if u.AspectRatioInfoPresentFlag {
			p.aspect(u.AspectRatioIdc, u.SarWidth, u.SarHeight)
		}
		if u.ColourDescriptionPresentFlag {
			p.colour(u.VideoFullRangeFlag, u.ColourPrimaries, u.TransferCharacteristics, u.MatrixCoefficients)
		}
	}
	return p
}

func (p *Picture) depths(chroma, luma, other uint32) {
	if chroma <= 3 && luma <= 8 && other <= 8 {
		p.Chroma, p.LumaDepth, p.ChromaDepth = int(chroma), 8+int(luma), 8+int(other)
	}
}

// aspect takes a sample aspect ratio (H.264 table E-1, H.265 table E.1).
func (p *Picture) aspect(idc uint8, width, height uint16) {
	table := [...][2]int{{0, 0}, {1, 1}, {12, 11}, {10, 11}, {16, 11}, {40, 33}, {24, 11}, {20, 11}, {32, 11}, {80, 33}, {18, 11}, {15, 11}, {64, 33}, {160, 99}, {4, 3}, {3, 2}, {2, 1}}
	switch {
	case idc == 255 && width > 0 && height > 0:
		p.SARWidth, p.SARHeight = int(width), int(height)
	case int(idc) < len(table):
		p.SARWidth, p.SARHeight = table[idc][0], table[idc][1]
	}
}

func (p *Picture) colour(full bool, primaries, transfer, matrix uint8) {
	p.Colour, p.FullRange, p.Primaries, p.Transfer, p.Matrix = true, full, primaries, transfer, matrix
}

// hasChroma reports whether the SPS of an H.264 profile says chroma format and depths (H.264 7.3.2.1.1).
func hasChroma(profile uint8) bool {
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		return true
	}
	return false
}

// recordHasChroma reports whether the configuration record of an H.264 profile repeats them, which it does for fewer profiles
// (ISO/IEC 14496-15 5.3.3.1.2; 244 has the place that it gives to 144).
func recordHasChroma(profile uint8) bool {
	switch profile {
	case 100, 110, 122, 144, 244:
		return true
	}
	return false
}

// AppendRecord appends the configuration record that containers put before a video track, with lengths of four bytes: what
// ParseRecord reads. The sets must be Complete.
func (v *Video) AppendRecord(b []byte) []byte {
	if v.Codec == H264 {
		return v.appendAVCC(b)
	}
	return v.appendHVCC(b)
}

// appendAVCC appends an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1).
func (v *Video) appendAVCC(b []byte) []byte {
	sps := v.SPS[0]
	b = append(b, 1, sps[1], sps[2], sps[3], 0xFC|3, 0xE0|byte(min(len(v.SPS), 31)))
	b = appendSets(b, v.SPS[:min(len(v.SPS), 31)])
	b = append(b, byte(min(len(v.PPS), 255)))
	b = appendSets(b, v.PPS[:min(len(v.PPS), 255)])
	if recordHasChroma(sps[1]) {
		p := v.Picture()
		b = append(b, 0xFC|byte(p.Chroma), 0xF8|byte(p.LumaDepth-8), 0xF8|byte(p.ChromaDepth-8), 0)
	}
	return b
}

// appendHVCC appends an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1).
func (v *Video) appendHVCC(b []byte) []byte {
	var head [15]byte // NAL unit header, sub-layers, and the general part of profile_tier_level
	r := rbsp{data: v.SPS[0]}
	r.read(head[:])
	b = append(append(b, 1), head[3:]...)
	p := v.Picture()
	layers, nested := head[2]>>1&7+1, head[2]&1
	b = append(b, 0xF0, 0, 0xFC, // nothing is said of spatial segments and parallelism
		0xFC|byte(p.Chroma), 0xF8|byte(p.LumaDepth-8), 0xF8|byte(p.ChromaDepth-8),
		0, 0, // nor of the frame rate
		layers&7<<3|nested<<2|3, 3)
	for _, a := range [...]struct {
		typ  byte
		sets [][]byte
	}{{h265VPS, v.VPS}, {h265SPS, v.SPS}, {h265PPS, v.PPS}} {
		b = append(b, 0x80|a.typ) // there are no others
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.sets)))
		b = appendSets(b, a.sets)
	}
	return b
}

func appendSets(b []byte, sets [][]byte) []byte {
	for _, s := range sets {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	return b
}
