package codec

import (
	"bytes"
	"fmt"
	"math/bits"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// NAL unit types of H.265 (table 7-1).
const (
	h265RASLN       = 8
	h265RASLR       = 9
	h265BLAFirst    = 16
	h265IDRLast     = 20
	h265CRA         = 21
	h265LastVCL     = 31
	h265VPS         = 32
	h265SPS         = 33
	h265PPS         = 34
	h265Delimiter   = 35
	h265EndOfSeq    = 36
	h265Filler      = 38
	h265SEIPrefix   = 39
	h265SEISuffix   = 40
	h265Suffix45    = 45 // to 47, reserved
	h265Suffix47    = 47
	h265Unspecified = 56 // to 63: Dolby Vision's metadata are 62
)

func h265Type(u []byte) byte { return u[0] >> 1 & 0x3F }

// h265Kind classifies a unit; 7.4.2.4.4 says which units begin an access unit and which may not. Pictures of layers above the base layer,
// such as a second view or an alpha plane, belong to the base picture before them. The parameter sets of these layers go along; a decoder
// that knows only the base layer ignores them.
func h265Kind(u []byte) Kind {
	t := h265Type(u)
	switch {
	case len(u) < 2:
		return KindOther // the header has two bytes
	case u[0]&1 != 0 || u[1]>>3 != 0: // nuh_layer_id
		if t <= h265LastVCL {
			return KindSuffix
		}
		return KindOther
	case t <= h265LastVCL:
		return KindSlice
	case t == h265VPS:
		return KindVPS
	case t == h265SPS:
		return KindSPS
	case t == h265PPS:
		return KindPPS
	case t == h265Delimiter:
		return KindDelimiter
	case t == h265SEIPrefix:
		return KindSEI
	case h265EndOfSeq <= t && t <= h265Filler, t == h265SEISuffix, h265Suffix45 <= t && t <= h265Suffix47, t >= h265Unspecified:
		return KindSuffix
	}
	return KindOther
}

// h265Slice reads a slice segment, whose header begins with first_slice_segment_in_pic_flag.
func (s *Survey) h265Slice(u []byte) {
	switch t := h265Type(u); {
	case h265BLAFirst <= t && t <= h265IDRLast:
		s.Access, s.RecoverIn = Clean, 0
	case t == h265CRA:
		s.Access, s.RecoverIn = max(s.Access, Open), 0
	case t == h265RASLN, t == h265RASLR:
		s.Leading = true
	}
	if s.Slices == 0 {
		s.First = len(u) > 2 && u[2]&0x80 != 0
	}
}

// describeH265 reads the first SPS.
func (v *Video) describeH265() error {
	var s h265.SPS
	if err := s.Unmarshal(v.SPS[0]); err != nil {
		return fmt.Errorf("H.265 sequence parameter set: %w", err)
	}
	v.Width, v.Height = s.Width(), s.Height()
	v.FrameRate = s.FPS()
	if s.VUI != nil && s.VUI.ColourDescriptionPresentFlag {
		v.transfer = s.VUI.TransferCharacteristics
	}
	v.Reorder = 0
	for _, n := range s.MaxNumReorderPics {
		v.Reorder = max(v.Reorder, int(min(n, 1<<16)))
	}
	return nil
}

// h265Codecs returns the RFC 6381 name (ISO/IEC 14496-15 E.3), from the profile_tier_level after the NAL header and one byte of the SPS.
// Emulation prevention is undone first: the constraint flags are often zero bytes in a row.
func h265Codecs(sps []byte) string {
	if len(sps) < 3 {
		return "hvc1"
	}
	ptl := bytes.ReplaceAll(sps[3:], []byte{0, 0, 3}, []byte{0, 0})
	if len(ptl) < 12 {
		return "hvc1"
	}
	space := []string{"", "A", "B", "C"}[ptl[0]>>6]
	tier := "L"
	if ptl[0]&0x20 != 0 {
		tier = "H"
	}
	compat := bits.Reverse32(uint32(ptl[1])<<24 | uint32(ptl[2])<<16 | uint32(ptl[3])<<8 | uint32(ptl[4]))
	s := fmt.Sprintf("hvc1.%s%d.%X.%s%d", space, ptl[0]&0x1F, compat, tier, ptl[11])
	for _, c := range bytes.TrimRight(ptl[5:11], "\x00") {
		s += fmt.Sprintf(".%X", c)
	}
	return s
}
