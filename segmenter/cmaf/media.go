package cmaf

import (
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// Media says how the playlist of a track looks.
type Media struct {
	Type           m3u8.Type
	TargetDuration int // seconds
	EndList        bool
	Track          segmenter.Track
	Dir            string // of the track, relative to the playlist, with its slash at the end; empty: beside it
}

// Append renders the playlist over stretches that follow each other, of which there is at least one, with at least one row each,
// behind b. Where the track is away, its rows are gaps; so is the last row of a stretch that has nothing of it. That of an ended playlist is
// left out: hls.js does not end with a gap.
func (m *Media) Append(b []byte, stretches []Stretch) []byte {
	first := &stretches[0].Rows[0]
	list := m3u8.Media{
		Type: m.Type, TargetDuration: m.TargetDuration, MediaSequence: first.Sequence, DiscontinuitySequence: first.DiscontinuitySequence,
		IndependentSegments: true, EndList: m.EndList, Running: first.Running,
	}
	maps := maps{dir: m.Dir}
	for i := range stretches {
		s := &stretches[i]
		init, ends := s.Config.Init(m.Track), -1
		rows := s.Rows
		switch n := len(rows) - 1; {
		case !s.Ends(m.Track):
		case i < len(stretches)-1:
			ends = n
		case m.EndList: // else it may not stay the last
			rows = rows[:n]
		}
		for j := range rows {
			e := &s.Rows[j]
			row := m3u8.Segment{
				URI: m.Dir + segmenter.FragmentFile(e.Sequence), Duration: e.Duration, ProgramDateTime: e.Start,
				Discontinuity: e.Discontinuity, Gap: e.Gap || init.Body == nil || j == ends, Ranges: e.Cues,
			}
			row.Map = maps.before(init, e.Discontinuity)
			if !e.Independent && !row.Gap && m.Track == segmenter.VideoTrack {
				list.IndependentSegments = false
			}
			list.Segments = append(list.Segments, row)
		}
	}
	return list.Append(b)
}

// maps tells where EXT-X-MAP stands in the playlist of a track: before the first segment that has an init segment, where that is another
// one, and at each discontinuity.
type maps struct {
	dir   string // of the track, as in Media
	shown Init
}

// before is the URI of the tag before a segment, or a part, that needs an init segment; empty: there is no tag.
func (m *maps) before(init Init, discontinuity bool) string {
	if init.Body == nil || m.shown.Body != nil && !discontinuity && init.CRC32C == m.shown.CRC32C {
		return ""
	}
	m.shown = init
	return m.dir + segmenter.InitFile(init.CRC32C)
}
