// Package variant says of a recording what a multivariant playlist has to say: bandwidths as measured, codecs, size, range and captions. It
// refuses to know where the playlists are, which recordings make a ladder, and what a segment is beyond its numbers.
package variant

import (
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Variant is what the multivariant playlist says about a stream.
type Variant struct {
	Bandwidth, AverageBandwidth int // bits per second
	Codecs                      string
	Width, Height               int // 0 without video
	FrameRate                   float64
	VideoBitrate                int    // measured average of the video stream, bits per second; 0 without video
	VideoCodec                  string // "h264", "h265" or ""
	AudioCodec                  string // "aac", "mp3" or ""
	VideoRange                  string // "PQ" or "HLG"; "": SDR
	Captions                    Captions
	IFrameBandwidth             int // of its I-frame playlist, bits per second; 0: no segment has begun with a keyframe yet
}

// Named is the variant as it stands in a multivariant playlist, with the URI of its media playlist.
func (v *Variant) Named(uri string) m3u8.Variant {
	return m3u8.Variant{
		URI: uri, Bandwidth: v.Bandwidth, AverageBandwidth: v.AverageBandwidth, Codecs: v.Codecs, Width: v.Width, Height: v.Height,
		FrameRate: v.FrameRate, VideoRange: v.VideoRange,
	}
}

// IFrames is the I-frame playlist of the variant as it stands in a multivariant playlist; false where there is none.
func (v *Variant) IFrames(uri string) (m3u8.Variant, bool) {
	if v.VideoCodec == "" || v.IFrameBandwidth == 0 {
		return m3u8.Variant{}, false
	}
	video, _, _ := strings.Cut(v.Codecs, ",") // it is the first
	return m3u8.Variant{URI: uri, Bandwidth: v.IFrameBandwidth, Codecs: video, Width: v.Width, Height: v.Height, VideoRange: v.VideoRange}, true
}

// Tables are those of a program with the variant's codecs, in a transport stream without media: what is left to say of a
// segment of which nothing is at hand. nil where the codecs are not known.
func (v *Variant) Tables() (body []byte) {
	var pool mpegts.Pool
	b := pool.Buffer()
	defer b.Release()
	v.Begin(b)
	for _, part := range b.Slices(nil) {
		body = append(body, part...)
	}
	return body
}

// Begin writes the tables of a program with the variant's codecs to b; nothing where the codecs are not known.
func (v *Variant) Begin(b *mpegts.Buffer) {
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

// Captions is what was seen of CEA-608 and CEA-708 captions in the video of a recording.
type Captions struct {
	Sent     bool            // there are some, though they may have said nothing yet
	Channels CaptionChannels // those that have
}

// CaptionChannels are caption channels as bits.
type CaptionChannels = codec.Captions

// captionGroup is the GROUP-ID of closed captions.
const captionGroup = "cc"

// Caption says of a multivariant playlist which captions its variants have, of each in its place: those that have none say so only
// where no variant has any (rfc8216bis 4.4.6.2). Captions that have said nothing yet are taken for CC1: a player that was told that
// there are none will not look for them again.
func Caption(m *m3u8.Master, of []Captions) {
	var all Captions
	for i, c := range of {
		all.Sent, all.Channels = all.Sent || c.Sent, all.Channels|c.Channels
		if m.Variants[i].ClosedCaptions = ""; c.Sent {
			m.Variants[i].ClosedCaptions = captionGroup
		}
	}
	if !all.Sent {
		for i := range m.Variants {
			m.Variants[i].ClosedCaptions = m3u8.NoCaptions
		}
		return
	}
	if all.Channels == 0 {
		all.Channels = codec.CC1
	}
	for _, id := range all.Channels.InstreamIDs() {
		m.Captions = append(m.Captions, m3u8.Caption{GroupID: captionGroup, Name: id, InstreamID: id, AutoSelect: true})
	}
}
