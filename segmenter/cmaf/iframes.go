package cmaf

import (
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// IFrames says how the I-frame playlist of a video track looks (rfc8216bis 4.4.3.6). It has one entry for each row, as that of the transport
// stream has (see segmenter.IFrames): the picture that the segment begins with, shown until the next one. Its range begins with the
// fragment and ends with the picture, so the moof tells of samples that are not in it, as it does wherever byte ranges of ordinary
// fragments are listed: players take the samples that are there.
type IFrames struct {
	Type           m3u8.Type
	TargetDuration int // seconds
	EndList        bool
	Dir            string // of the track, relative to the playlist, with its slash at the end; empty: beside it
}

// Append renders the playlist over stretches that follow each other, of which there is at least one, with at least one row each,
// behind b. pictures has, for each row of them, where in its fragment the first picture is, see fmp4.FirstPicture; a row without is a gap.
func (l *IFrames) Append(b []byte, stretches []Stretch, pictures []m3u8.Range) []byte {
	first := &stretches[0].Rows[0]
	m := m3u8.Media{
		Type: l.Type, TargetDuration: l.TargetDuration, MediaSequence: first.Sequence, DiscontinuitySequence: first.DiscontinuitySequence,
		IFramesOnly: true, EndList: l.EndList,
	}
	maps := maps{dir: l.Dir}
	for i := range stretches {
		s := &stretches[i]
		init := s.Config.Init(segmenter.VideoTrack)
		for j := range s.Rows {
			e, picture := &s.Rows[j], pictures[len(m.Segments)]
			row := m3u8.Segment{
				URI: l.Dir + segmenter.FragmentFile(e.Sequence), Duration: e.Duration, ProgramDateTime: e.Start, Discontinuity: e.Discontinuity,
				Gap: e.Gap || init.Body == nil || picture.Length == 0,
			}
			if !row.Gap {
				row.Range = picture
			}
			row.Map = maps.before(init, e.Discontinuity)
			m.Segments = append(m.Segments, row)
		}
	}
	return m.Append(b)
}

// tracked is the I-frame playlist of the video track that goes with one of transport streams, which stands in m.
func tracked(m *m3u8.Master, app string, i m3u8.Variant) (m3u8.Variant, bool) {
	prefix := app + "/streams/"
	n, ok := segmenter.ParseName(prefix + i.URI)
	switch {
	case ok && n.Kind == segmenter.KindIFrames:
		n.Kind = segmenter.KindTrackIFrames
	case ok && n.Kind == segmenter.KindIFramesArchive:
		n.Kind, n.Archive = segmenter.KindTrackIFramesArchive, n.Recording
	default:
		return i, false
	}
	n.Track = segmenter.VideoTrack
	i.URI = strings.TrimPrefix(n.String(), prefix)
	rate := 0.0
	for k := range m.Variants {
		v, ok := segmenter.ParseName(prefix + m.Variants[k].URI)
		if ok && v.Stream == n.Stream && v.Recording == n.Recording {
			rate = m.Variants[k].FrameRate
		}
	}
	i.Bandwidth += headRate(rate)
	return i, true
}

// headRate is what a second of a fragment's head takes, where there are so many pictures in a second, in bits; the part of it that each
// fragment has counts as if they lasted a second. Where the frame rate is not known, it is taken to be a high one.
func headRate(fps float64) int {
	if fps == 0 {
		fps = 60
	}
	return 8*96 + int(8*16*fps)
}

// AddIFrames adds the I-frame playlist of the only variant of a playlist that Measured made of rows and a configuration, where it is known that
// there are keyframes: for who serves it. One of them is known, that of c: the others are taken to be twice as large at the most, and no more
// than their segments.
func AddIFrames(m *m3u8.Master, rows []segmenter.Row, c *Config) {
	if c.Head.Video == nil || c.Head.Picture == 0 {
		return
	}
	v := &m.Variants[0]
	i := m3u8.Variant{Codecs: c.Head.Video.Name(), Width: v.Width, Height: v.Height, VideoRange: v.VideoRange}
	for k := range rows {
		size := 2 * int64(c.Head.Picture)
		if e := &rows[k]; e.Size > 0 {
			size = min(size, e.Size)
		}
		i.Bandwidth = max(i.Bandwidth, int(8*size*segmenter.Clock/max(rows[k].Duration, segmenter.Clock)))
	}
	if before, live := strings.CutSuffix(v.URI, "live.m3u8"); live {
		i.URI = before + segmenter.IFramesFile
	} else {
		i.URI = strings.TrimSuffix(v.URI, ".m3u8") + "_" + segmenter.IFramesFile
	}
	m.IFrames = append(m.IFrames, i)
}
