package cmaf

import (
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// Rows turns a media playlist over transport streams back into rows, and tells where the segments are, relative to the playlist: dir is
// empty where they are beside it, and ends with a slash elsewhere. The error is that the playlist is not one of ours.
func Rows(m *m3u8.Media) (rows []segmenter.Row, dir string, err error) {
	if len(m.Segments) == 0 {
		return nil, "", errors.New("a playlist without segments")
	}
	dir, _ = path.Split(m.Segments[0].URI)
	rows = make([]segmenter.Row, len(m.Segments))
	var at time.Time
	discontinuities := m.DiscontinuitySequence
	running := ""
	for i := range m.Segments {
		s := &m.Segments[i]
		if !s.ProgramDateTime.IsZero() {
			at = s.ProgramDateTime
		}
		e := segmenter.Row{
			Sequence: m.MediaSequence + uint64(i), Start: at, Duration: s.Duration, Size: s.Size, CRC32C: s.CRC32C,
			Discontinuity: s.Discontinuity, Independent: m.IndependentSegments, Gap: s.Gap, DiscontinuitySequence: discontinuities,
			Cues: s.Ranges, Running: running,
		}
		if running != "" || s.Ranges != "" {
			running = m3u8.Running(running+s.Ranges, e.End())
		}
		if s.Discontinuity {
			discontinuities++
		}
		if at.IsZero() || s.URI != dir+segmenter.SegmentFile(e.Sequence) {
			return nil, "", fmt.Errorf("segment %d is not one of ours", e.Sequence)
		}
		rows[i] = e
		at = e.End()
	}
	return rows, dir, nil
}
