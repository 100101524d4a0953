package segmenter

import (
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// GapBody is what a gap's URI answers with: the tables of the program and no media. A player that knows EXT-X-GAP never
// asks; those that do not know it (video.js 8, GStreamer 1.22) stop for good at a 404 and play on over this. nil where
// the codecs are not known.
func (s *Snapshot) GapBody() []byte {
	var c mpegts.Config
	switch s.Variant.VideoCodec {
	case ingest.H264.String():
		c.Video = mpegts.H264
	case ingest.H265.String():
		c.Video = mpegts.H265
	}
	switch s.Variant.AudioCodec {
	case ingest.AAC.String():
		c.Audio, c.ASC = mpegts.AAC, []byte{0x11, 0x90} // any: no frame follows
	case ingest.MP3.String():
		c.Audio = mpegts.MP3MPEG1
	}
	m, err := mpegts.NewMuxer(c)
	if err != nil {
		return nil
	}
	var pool mpegts.Pool
	b := pool.Buffer()
	defer b.Release()
	m.Begin(b)
	var body []byte
	for _, part := range b.Slices(nil) {
		body = append(body, part...)
	}
	return body
}
