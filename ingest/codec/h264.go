package codec

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// NAL unit types of H.264 (table 7-1).
const (
	h264NonIDR     = 1
	h264PartitionA = 2
	h264IDR        = 5
	h264SEI        = 6
	h264SPS        = 7
	h264PPS        = 8
	h264Delimiter  = 9
	h264EndOfSeq   = 10
	h264Filler     = 12
	h264Auxiliary  = 19
)

// h264Kind classifies a unit. What may not come before the first slice of its access unit (7.4.1.2.3) belongs to the picture before it:
// types 0, 10 to 12, and from 19 on. Those from 19 on are auxiliary slices, slices of other layers and views, and types left to
// applications.
func h264Kind(u []byte) Kind {
	switch t := u[0] & 0x1F; {
	case h264NonIDR <= t && t <= h264IDR:
		return KindSlice
	case t == h264SEI:
		return KindSEI
	case t == h264SPS:
		return KindSPS
	case t == h264PPS:
		return KindPPS
	case t == h264Delimiter:
		return KindDelimiter
	case h264EndOfSeq <= t && t <= h264Filler, t >= h264Auxiliary, t == 0:
		return KindSuffix
	}
	return KindOther
}

// h264Slice reads a slice, whose header begins with first_mb_in_slice. Data partitions B and C have none: they follow A.
func (s *Survey) h264Slice(u []byte) {
	t := u[0] & 0x1F
	if t == h264IDR {
		s.Access, s.RecoverIn = Clean, 0
	}
	if s.Slices == 0 && (t == h264IDR || t <= h264PartitionA) {
		s.First = len(u) > 1 && u[1]&0x80 != 0 // ue(v) of 0 is the one bit 1
	}
}

// X264KeyInterval returns the longest keyframe interval, in 90 kHz ticks, that x264 will produce. x264 writes its settings as text into an
// SEI of its first access unit ("… keyint=250 keyint_min=25 …"), and counts the interval in frames, at frameRate frames a second. x265 does
// the same. It returns 0 if they do not say it, or if it is infinite.
func X264KeyInterval(units [][]byte, frameRate float64) (ticks int64) {
	if frameRate = PlausibleRate(frameRate); frameRate == 0 {
		return 0
	}
	for _, u := range units {
		if len(u) == 0 || u[0]&0x1F != h264SEI && h265Type(u) != h265SEIPrefix {
			continue
		}
		before, rest, ok := bytes.Cut(u, []byte(" keyint="))
		if !ok || !bytes.Contains(before, []byte("x264")) && !bytes.Contains(before, []byte("x265")) {
			continue
		}
		digits, _, _ := bytes.Cut(rest[:min(len(rest), 12)], []byte(" "))
		if n, err := strconv.ParseInt(string(digits), 10, 32); err == nil && n > 0 {
			return int64(float64(n) / frameRate * Clock)
		}
	}
	return 0
}

// h264Intra are the profiles that, with constraint_set3_flag, have only intra pictures (A.2.8 to A.2.11, E.2.1).
const h264Intra = "\x2C\x56\x64\x6E\x7A\xF4" // 44, 86, 100, 110, 122, 244

// describeH264 reads the first SPS.
func (v *Video) describeH264() error {
	var s h264.SPS
	if err := s.Unmarshal(v.SPS[0]); err != nil {
		return fmt.Errorf("H.264 sequence parameter set: %w", err)
	}
	v.Width, v.Height = s.Width(), s.Height()
	v.FrameRate = s.FPS()
	if s.VUI != nil && s.VUI.ColourDescriptionPresentFlag {
		v.transfer = s.VUI.TransferCharacteristics
	}
	switch {
	case s.PicOrderCntType == 2: // output order is decoding order, 8.2.1.3
		v.Reorder = 0
	case s.VUI != nil && s.VUI.BitstreamRestriction != nil:
		v.Reorder = int(min(s.VUI.BitstreamRestriction.MaxNumReorderFrames, math.MaxInt32))
	case s.ProfileIdc == 66: // Baseline has no B slices
		v.Reorder = 0
	case s.ConstraintSet3Flag && bytes.IndexByte([]byte(h264Intra), s.ProfileIdc) >= 0:
		v.Reorder = 0
	}
	return nil
}

// h264Codecs returns the RFC 6381 name (ISO/IEC 14496-15 annex E): profile, constraints and level of the SPS.
func h264Codecs(sps []byte) string {
	if len(sps) < 4 {
		return "avc1"
	}
	return fmt.Sprintf("avc1.%02x%02x%02x", sps[1], sps[2], sps[3])
}
