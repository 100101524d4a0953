package rtsp

import (
	"math"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// nalKind is what a NAL unit means here.
type nalKind uint8

const (
	nalOther nalKind = iota
	nalVPS
	nalSPS
	nalPPS
	nalKey   // a slice of a random access picture
	nalSlice // any other slice
)

// nalSyntax is what differs between H.264 and H.265.
type nalSyntax struct {
	codec ingest.Codec
	kind  func(nal []byte) nalKind
	// describe completes a track from its first SPS, and says how to derive DTS.
	describe func(t *ingest.Track) (func() dtsSource, error)
}

func kindH264(n []byte) nalKind {
	switch h264.NALUType(n[0] & 0x1f) {
	case h264.NALUTypeSPS:
		return nalSPS
	case h264.NALUTypePPS:
		return nalPPS
	case h264.NALUTypeIDR:
		return nalKey
	case h264.NALUTypeNonIDR, h264.NALUTypeDataPartitionA:
		return nalSlice
	}
	return nalOther
}

func kindH265(n []byte) nalKind {
	switch typ := h265.NALUType(n[0] >> 1 & 0x3f); {
	case typ == h265.NALUType_VPS_NUT:
		return nalVPS
	case typ == h265.NALUType_SPS_NUT:
		return nalSPS
	case typ == h265.NALUType_PPS_NUT:
		return nalPPS
	case typ >= h265.NALUType_BLA_W_LP && typ <= h265.NALUType_CRA_NUT:
		return nalKey
	case typ < h265.NALUType_BLA_W_LP:
		return nalSlice
	}
	return nalOther
}

func describeH264(t *ingest.Track) (func() dtsSource, error) {
	var s h264.SPS
	if err := s.Unmarshal(t.SPS[0]); err != nil {
		return nil, err
	}
	t.Width, t.Height = s.Width(), s.Height()
	setFrameRate(t, s.FPS())
	depth := -1
	switch {
	case s.PicOrderCntType == 2 || s.ProfileIdc == 66: // no reordering, 8.2.1.3 and A.2.1
		depth = 0
	case s.VUI != nil && s.VUI.BitstreamRestriction != nil && s.VUI.BitstreamRestriction.MaxNumReorderFrames <= trustedReorder:
		depth = int(s.VUI.BitstreamRestriction.MaxNumReorderFrames)
	}
	rate, sps := t.FrameRate, t.SPS[0]
	return func() dtsSource {
		if depth < 0 {
			return &pocDTS{sps: sps}
		}
		return newReorderDTS(depth, rate)
	}, nil
}

func describeH265(t *ingest.Track) (func() dtsSource, error) {
	var s h265.SPS
	if err := s.Unmarshal(t.SPS[0]); err != nil {
		return nil, err
	}
	t.Width, t.Height = s.Width(), s.Height()
	setFrameRate(t, s.FPS())
	depth := uint32(0)
	for _, n := range s.MaxNumReorderPics {
		depth = max(depth, min(n, maxReorder))
	}
	rate := t.FrameRate
	return func() dtsSource { return newReorderDTS(int(depth), rate) }, nil
}

// setFrameRate prefers what the SPS says over the SDP; an SPS may say nonsense, or divide by zero.
func setFrameRate(t *ingest.Track, fps float64) {
	if !math.IsNaN(fps) && fps >= 1 && fps <= 1000 {
		t.FrameRate = fps
	}
}
