package segmenter

import (
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
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

// named is the variant as it stands in a multivariant playlist, with the URI of its media playlist.
func (v *Variant) named(uri string) m3u8.Variant {
	return m3u8.Variant{
		URI: uri, Bandwidth: v.Bandwidth, AverageBandwidth: v.AverageBandwidth, Codecs: v.Codecs, Width: v.Width, Height: v.Height,
		FrameRate: v.FrameRate, VideoRange: v.VideoRange,
	}
}

// iframes is the I-frame playlist of the variant as it stands in a multivariant playlist; false where there is none.
func (v *Variant) iframes(uri string) (m3u8.Variant, bool) {
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

// rate measures what the multivariant playlist says about bandwidth. A figure is raised only when it is exceeded by a
// tenth, so that the playlist does not change with every segment.
type rate struct {
	peak         int   // bits per second, of any segment
	bytes, ticks int64 // of all segments
	videoBytes   int64
	captions     Captions
	key          int           // bits per second of keyframes alone, with room for larger ones
	of           *ingest.Track // whose VIDEO-RANGE is videoRange
	videoRange   string
	shown        Variant
}

// add counts a segment. One of less than a second says little about a rate: it counts as if it lasted one.
func (r *rate) add(e *Row, f *finished) {
	c := f.captions
	r.captions.Sent, r.captions.Channels = r.captions.Sent || c.Sent, r.captions.Channels|c.Channels
	r.bytes += e.Size
	r.videoBytes += f.videoBytes
	if key := int(int64(f.key) * 8 * Clock / max(e.Duration, Clock)); key > r.key {
		r.key = key + key/10
	}
	r.ticks += e.Duration
	r.peak = max(r.peak, int(e.Size*8*Clock/max(e.Duration, Clock)))
}

// variant is the description of the stream as it should be shown now.
func (r *rate) variant(t cut.Tracks) Variant {
	video, audio := t.Video, t.Audio
	v := Variant{Codecs: codecs(t), Bandwidth: r.peak, Captions: r.captions, IFrameBandwidth: r.key}
	announced := 0
	if video != nil {
		v.Width, v.Height, v.FrameRate, v.VideoCodec = video.Width, video.Height, video.FrameRate, video.Codec.String()
		if video != r.of {
			r.of, r.videoRange = video, videoRange(video)
		}
		v.VideoRange = r.videoRange
		announced = video.Bitrate
	}
	if audio != nil {
		v.AudioCodec = audio.Codec.String()
		announced += audio.Bitrate
	}
	v.Bandwidth = max(v.Bandwidth, announced*5/4)
	if r.ticks > 0 {
		v.AverageBandwidth = int(r.bytes * 8 * Clock / max(r.ticks, Clock))
		v.VideoBitrate = int(r.videoBytes * 8 * Clock / max(r.ticks, Clock))
	}
	old := r.shown
	if v.Bandwidth <= old.Bandwidth+old.Bandwidth/10 {
		v.Bandwidth = old.Bandwidth
		if within(v.AverageBandwidth, old.AverageBandwidth) {
			v.AverageBandwidth = old.AverageBandwidth
		}
		if within(v.VideoBitrate, old.VideoBitrate) {
			v.VideoBitrate = old.VideoBitrate
		}
	}
	v.Bandwidth = max(v.Bandwidth, v.AverageBandwidth)
	r.shown = v
	return v
}

// within tells whether two rates are within a tenth of each other.
func within(a, b int) bool { return a <= b+b/10 && a >= b-b/10 }

// videoRange is VIDEO-RANGE of a track; empty: SDR, which need not be said.
func videoRange(t *ingest.Track) string {
	v := codec.Video{Codec: t.Codec, VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}
	_ = v.Describe() // what is not understood is SDR
	if name := v.Range(); name != "SDR" {
		return name
	}
	return ""
}

// codecs is the CODECS attribute of the tracks (RFC 6381).
func codecs(t cut.Tracks) string {
	var names []string
	if v := t.Video; v != nil {
		c := codec.Video{Codec: v.Codec, SPS: v.SPS}
		names = append(names, c.Name())
	}
	if a := t.Audio; a != nil {
		name := codec.MP3Name
		if a.Codec == ingest.AAC {
			c, _ := codec.ParseASC(a.ASC) // configured has read it
			name = c.Name()
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}
