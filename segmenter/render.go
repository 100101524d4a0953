package segmenter

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// List says how a media playlist over consecutive rows of a table looks. All media playlists are rendered by it: the live
// and the timestamped ones that viewers are served, those of other times, and those in the bucket.
type List struct {
	Type           m3u8.Type
	TargetDuration int    // seconds
	EndList        bool   // nothing will be added
	Dir            string // of the segments, relative to the playlist, with its slash at the end; empty: beside it
	Sums           bool   // size and checksum stand before each URI
	// Lost reports whether rows[i], which need not be a gap for everybody, is one for the readers of this playlist; nil: the
	// rows say it themselves.
	Lost func(i int) bool
}

// Append renders the playlist over rows, of which there is at least one, behind b.
func (l *List) Append(b []byte, rows []Row) []byte {
	gap, independent := false, true
	for i := range rows {
		if l.lost(rows, i) {
			gap = true
		} else if !rows[i].Independent {
			independent = false
		}
	}
	b = l.appendHead(b, &rows[0], independent, gap)
	for i := range rows {
		b = l.appendRow(b, &rows[i], l.lost(rows, i))
	}
	return l.appendEnd(b)
}

func (l *List) lost(rows []Row, i int) bool {
	if l.Lost != nil {
		return l.Lost(i)
	}
	return rows[i].Gap
}

func (l *List) appendHead(b []byte, first *Row, independent, gap bool) []byte {
	m := m3u8.Media{
		Type: l.Type, TargetDuration: l.TargetDuration, MediaSequence: first.Sequence,
		DiscontinuitySequence: first.DiscontinuitySequence, IndependentSegments: independent,
	}
	if gap {
		m.Segments = []m3u8.Segment{{Gap: true}} // the version depends on one
	}
	return m.AppendHeader(b, m.Version())
}

// appendRow renders one row. Each carries PROGRAM-DATE-TIME: after a publisher's return Shaka stalls for many seconds where
// some rows lack it.
func (l *List) appendRow(b []byte, e *Row, gap bool) []byte {
	s := m3u8.Segment{
		URI: l.Dir + SegmentFile(e.Sequence), Duration: e.Duration, Discontinuity: e.Discontinuity, Gap: gap, ProgramDateTime: e.Start,
	}
	if l.Sums && !gap {
		s.Size, s.CRC32C = e.Size, e.CRC32C
	}
	return s.Append(b)
}

func (l *List) appendEnd(b []byte) []byte {
	if l.EndList {
		b = append(b, m3u8.EndList...)
	}
	return b
}

// AppendEntry renders the multivariant playlist of a stream on its own behind b.
func AppendEntry(b []byte, k Key, id RecordingID, v Variant, independent bool) []byte {
	m := m3u8.Master{
		IndependentSegments: independent,
		Variants:            []m3u8.Variant{v.named(k.Stream + "/" + string(id) + "/live.m3u8")},
	}
	return m.Append(b)
}

// named is the variant as it stands in a multivariant playlist, with the URI of its media playlist.
func (v *Variant) named(uri string) m3u8.Variant {
	return m3u8.Variant{
		URI: uri, Bandwidth: v.Bandwidth, AverageBandwidth: v.AverageBandwidth, Codecs: v.Codecs, Width: v.Width, Height: v.Height,
		FrameRate: v.FrameRate,
	}
}

// End is the wall time at which the row ends.
func (e *Row) End() time.Time { return e.Start.Add(duration(e.Duration)) }
