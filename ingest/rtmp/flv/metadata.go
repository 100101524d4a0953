package flv

import (
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
)

// Metadata is the content of onMetaData. The zero value stands for an encoder that sends none.
type Metadata struct {
	Encoder                    string
	HasVideo, HasAudio         bool
	Width, Height              int
	FrameRate                  float64 // frames per second
	VideoBitrate, AudioBitrate int     // bits per second
	KeyframeInterval           time.Duration
	AudioRate                  int // samples per second
	AudioChannels              int
}

// ParseMetadata reads a data message; ok is false if it is not onMetaData.
func ParseMetadata(body []byte) (m Metadata, ok bool, err error) {
	values, err := amf.DecodeAll(body, amf.Limits{})
	if len(values) > 0 && values[0].Text == "@setDataFrame" {
		values = values[1:]
	}
	if len(values) < 2 || values[0].Text != "onMetaData" || values[1].Kind != amf.Object {
		return Metadata{}, false, err
	}
	v := values[1]
	m = Metadata{
		Encoder:   v.Get("encoder").Text,
		Width:     int(number(v, maxDimension, "width")),
		Height:    int(number(v, maxDimension, "height")),
		FrameRate: codec.PlausibleRate(number(v, 1000, "framerate", "fps", "videoframerate")),
	}
	kilo := 1000.0
	if strings.HasPrefix(m.Encoder, "Lavf") { // libavformat writes bits / 1024
		kilo = 1024
	}
	m.VideoBitrate = int(number(v, 1e6, "videodatarate") * kilo)
	m.AudioBitrate = int(number(v, 1e5, "audiodatarate") * kilo)
	seconds := number(v, 60, "videokeyframe_frequency", "keyframe_interval", "keyframeInterval")
	m.KeyframeInterval = time.Duration(seconds * float64(time.Second))
	m.AudioRate = int(number(v, 192000, "audiosamplerate"))
	m.AudioChannels = int(number(v, 8, "audiochannels"))
	if stereo := v.Get("stereo"); m.AudioChannels == 0 && stereo.Kind == amf.Boolean {
		m.AudioChannels = 1
		if stereo.Bool {
			m.AudioChannels = 2
		}
	}
	m.HasVideo = announced(v, "videocodecid", "videodatarate", "hasVideo")
	m.HasAudio = announced(v, "audiocodecid", "audiodatarate", "hasAudio")
	return m, true, err
}

// maxDimension is the largest believable width and height, in pixels.
const maxDimension = 16384

// hints returns what the normaliser needs.
func (m *Metadata) hints() normalise.Hints {
	return normalise.Hints{
		HasVideo: m.HasVideo, HasAudio: m.HasAudio, Width: m.Width, Height: m.Height, FrameRate: m.FrameRate,
		VideoBitrate: m.VideoBitrate, AudioBitrate: m.AudioBitrate, KeyframeInterval: m.KeyframeInterval,
		AudioRate: m.AudioRate, AudioChannels: m.AudioChannels,
	}
}

// number returns the first of the named properties that is a number greater than 0 and at most limit, or 0.
func number(v amf.Value, limit float64, names ...string) float64 {
	for _, name := range names {
		if n := v.Get(name).Number; n > 0 && n <= limit {
			return n
		}
	}
	return 0
}

// announced reports whether one of the named properties says that a track will come. Codec IDs are numbers, names or fourccs.
func announced(v amf.Value, names ...string) bool {
	for _, name := range names {
		if p := v.Get(name); p.Number > 0 || p.Text != "" || p.Bool {
			return true
		}
	}
	return false
}
