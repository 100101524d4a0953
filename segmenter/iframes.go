package segmenter

import (
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// IFrames says how an I-frame playlist looks (RFC 8216 4.3.3.6). It has one entry for each row: the picture that the segment begins
// with, shown until the next one. So numbers, durations, wall times, discontinuities and the target duration are those of the media
// playlist, and an entry is the same for ever. The tables stand before the range, and each entry says so: a picture can be loaded
// alone, and in any order.
type IFrames struct {
	Type           m3u8.Type
	TargetDuration int // seconds
	EndList        bool
	Dir            string // of the segments, relative to the playlist, with its slash at the end; empty: beside it
}

// Append renders the playlist over rows, of which there is at least one, behind b; keys has the keyframe of each. A row whose segment
// does not begin with a picture that can be shown alone is a gap.
func (l *IFrames) Append(b []byte, rows []Row, keys []mpegts.Keyframe) []byte {
	m := m3u8.Media{
		Type: l.Type, TargetDuration: l.TargetDuration, MediaSequence: rows[0].Sequence, DiscontinuitySequence: rows[0].DiscontinuitySequence,
		IFramesOnly: true, EndList: l.EndList, Segments: make([]m3u8.Segment, len(rows)),
	}
	for i := range rows {
		e, k := &rows[i], keys[i]
		s := m3u8.Segment{URI: l.Dir + SegmentFile(e.Sequence), Duration: e.Duration, ProgramDateTime: e.Start, Discontinuity: e.Discontinuity}
		if s.Gap = e.Gap || k.Size == 0; !s.Gap {
			s.Range = m3u8.Range{Offset: k.Offset, Length: k.Size}
			s.Map, s.MapRange = s.URI, m3u8.Range{Length: k.Tables}
		}
		m.Segments[i] = s
	}
	return m.Append(b)
}

// iframes is the I-frame playlist of the variant as it stands in a multivariant playlist; false where there is none.
func (v *Variant) iframes(uri string) (m3u8.Variant, bool) {
	if v.VideoCodec == "" || v.IFrameBandwidth == 0 {
		return m3u8.Variant{}, false
	}
	video, _, _ := strings.Cut(v.Codecs, ",") // it is the first
	return m3u8.Variant{URI: uri, Bandwidth: v.IFrameBandwidth, Codecs: video, Width: v.Width, Height: v.Height, VideoRange: v.VideoRange}, true
}
