package segmenter

import (
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// standIn makes what a gap's URI answers with: tables, and one access unit of each track of what stands before it, which may be
// another stand-in and lasts some ticks, with time stamps of the gap. A player that knows EXT-X-GAP never asks. Of those that do not, video.js 8 and GStreamer
// 1.22 stop for good at a 404, and VLC 3 and GStreamer's hlsdemux2 at tables alone. Where no segment is in memory it is the
// tables alone; empty where not even the codecs are known.
func (l *log) standIn(e *Row, before int64) *Segment {
	b := l.pool.Buffer()
	t := &l.table
	if n := len(t.segments); n == 0 || !mpegts.Still(b, t.segments[n-1].buf, before) {
		tables(b, &l.variant)
	}
	return newSegment(*e, b)
}

// Bare reports whether what stands in for a gap is tables alone.
func (s *Segment) Bare() bool { return s.Gap && s.Size <= 2*mpegts.PacketSize }

// Tables are those of a program with the variant's codecs, in a transport stream without media: what is left to say of a
// segment of which nothing is at hand. nil where the codecs are not known.
func (v *Variant) Tables() (body []byte) {
	var pool mpegts.Pool
	b := pool.Buffer()
	defer b.Release()
	tables(b, v)
	for _, part := range b.Slices(nil) {
		body = append(body, part...)
	}
	return body
}

// tables writes the tables of a program with a variant's codecs.
func tables(b *mpegts.Buffer, v *Variant) {
	var c mpegts.Config
	switch v.VideoCodec {
	case ingest.H264.String():
		c.Video = mpegts.H264
	case ingest.H265.String():
		c.Video = mpegts.H265
	}
	switch v.AudioCodec {
	case ingest.AAC.String():
		c.Audio, c.ASC = mpegts.AAC, []byte{0x11, 0x90} // any: no frame follows
	case ingest.MP3.String():
		c.Audio = mpegts.MP3MPEG1
	}
	if m, err := mpegts.NewMuxer(c); err == nil {
		m.Begin(b)
	}
}
