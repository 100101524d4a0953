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
	h264PartitionC = 4
	h264IDR        = 5
	h264SEI        = 6
	h264SPS        = 7
	h264PPS        = 8
	h264Delimiter  = 9
	h264EndOfSeq   = 10
	h264EndOfStr   = 11
	h264Filler     = 12
)

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
	case h264EndOfSeq <= t && t <= h264Filler:
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
	case s.PicOrderCntType == 2 || s.ProfileIdc == 66: // no reordering, 8.2.1.3 and A.2.1
		v.Reorder = 0
	case s.VUI != nil && s.VUI.BitstreamRestriction != nil:
		v.Reorder = int(min(s.VUI.BitstreamRestriction.MaxNumReorderFrames, math.MaxInt32))
	}
	return nil
}

// X264KeyInterval is the longest keyframe interval, 90 kHz ticks, that an x264 encoder will make at a frame rate, from the
// settings that it writes as text into an SEI of its first access unit ("… keyint=250 …"). x264 counts it in frames. 0 where
// there is none.
func X264KeyInterval(units [][]byte, frameRate float64) int64 {
	if frameRate <= 0 {
		return 0
	}
	for _, u := range units {
		if len(u) == 0 || u[0]&0x1F != h264SEI {
			continue
		}
		_, rest, ok := bytes.Cut(u, []byte(" keyint="))
		if !ok || !bytes.Contains(u, []byte("x264")) {
			continue
		}
		digits, _, _ := bytes.Cut(rest[:min(len(rest), 12)], []byte(" "))
		if n, err := strconv.Atoi(string(digits)); err == nil && n > 0 {
			return int64(float64(n) / frameRate * Clock)
		}
	}
	return 0
}

// h264Codecs is the RFC 6381 name (ISO/IEC 14496-15 annex E): profile, constraints and level of the SPS.
func h264Codecs(sps []byte) string {
	if len(sps) < 4 {
		return "avc1"
	}
	return fmt.Sprintf("avc1.%02x%02x%02x", sps[1], sps[2], sps[3])
}
