package variant

import (
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// Rate measures what the multivariant playlist says about a recording. A figure is raised only when it is exceeded by a tenth, so that the
// playlist does not change with every segment. The zero value has measured nothing.
type Rate struct {
	peak         int   // bits per second, of any segment
	bytes, ticks int64 // of all segments
	videoBytes   int64
	captions     Captions
	key          int           // bits per second of keyframes alone, with room for larger ones
	of           *ingest.Track // whose VIDEO-RANGE is videoRange
	videoRange   string
	shown        Variant
}

// Sample is what a segment adds.
type Sample struct {
	Size, VideoBytes int64 // bytes, and those of them that are video
	Duration         int64 // 90 kHz ticks
	Key              int   // bytes of the keyframe that it begins with; 0: with none
	Captions         Captions
}

// Add counts a segment. One of less than a second says little about a rate: it counts as if it lasted one.
func (r *Rate) Add(s *Sample) {
	r.captions.Sent, r.captions.Channels = r.captions.Sent || s.Captions.Sent, r.captions.Channels|s.Captions.Channels
	r.bytes += s.Size
	r.videoBytes += s.VideoBytes
	if key := int(int64(s.Key) * 8 * codec.Clock / max(s.Duration, codec.Clock)); key > r.key {
		r.key = key + key/10
	}
	r.ticks += s.Duration
	r.peak = max(r.peak, int(s.Size*8*codec.Clock/max(s.Duration, codec.Clock)))
}

// Restore goes on from what was shown before a restart.
func (r *Rate) Restore(v Variant) {
	r.shown, r.peak, r.captions, r.key = v, v.Bandwidth, v.Captions, v.IFrameBandwidth
}

// Raise makes it show no less than what another server has shown of the same recording, bits per second.
func (r *Rate) Raise(bandwidth int) {
	if r.shown.Bandwidth < bandwidth {
		r.shown.Bandwidth, r.peak = bandwidth, max(r.peak, bandwidth)
	}
}

// Variant is the description of the recording as it should be shown now.
func (r *Rate) Variant(t cut.Tracks) Variant {
	video, audio := t.Video, t.Audio
	v := Variant{Codecs: Codecs(t), Bandwidth: r.peak, Captions: r.captions, IFrameBandwidth: r.key}
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
		v.AverageBandwidth = int(r.bytes * 8 * codec.Clock / max(r.ticks, codec.Clock))
		v.VideoBitrate = int(r.videoBytes * 8 * codec.Clock / max(r.ticks, codec.Clock))
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

// Codecs is the CODECS attribute of the tracks (RFC 6381).
func Codecs(t cut.Tracks) string {
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
