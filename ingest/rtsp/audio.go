package rtsp

import (
	"bytes"
	"errors"
	"slices"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpfragmented"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg1audio"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg1audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// audio is what the audio streams share: a track that may become another.
type audio struct {
	kind   ingest.Codec
	hints  hints
	single bool
	track  *ingest.Track
}

func (a *audio) codec() ingest.Codec { return a.kind }
func (a *audio) jumped()             {}

func (a *audio) alone(b bool) {
	a.single = b
	if a.track != nil { // nobody has seen it yet
		a.track.Alone = b
	}
}

// frame completes an audio frame; its decoding time is its presentation time.
func (a *audio) frame(f *ingest.Frame) drop {
	switch {
	case a.track == nil:
		return dropNoParameters
	case len(f.Units[0]) == 0:
		return dropUnusable
	}
	f.Track, f.Key, f.DTS = a.track, true, f.PTS
	return 0
}

// aacRates are the rates of the core coder, Hz, that a transport stream can name (ISO/IEC 14496-3 1.6.3.4).
func aacRates() []int {
	return []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
}

// aacTrack describes AAC; raw is the AudioSpecificConfig as sent, nil where only its parsed form is known. The result is
// nil for frames of 960 samples and rates of an encoder's own, which a transport stream cannot carry.
func aacTrack(c *mpeg4audio.AudioSpecificConfig, raw []byte, h hints) *ingest.Track {
	if raw == nil {
		var err error
		if raw, err = c.Marshal(); err != nil {
			return nil
		}
	}
	channels := int(c.ChannelConfig)
	if channels == 7 {
		channels = 8
	}
	if c.FrameLengthFlag || !slices.Contains(aacRates(), c.SampleRate) {
		return nil
	}
	return &ingest.Track{Codec: ingest.AAC, ASC: raw, SampleRate: c.SampleRate, Channels: channels, Bitrate: h.bitrate}
}

// frameTicks is the length of an AAC frame, 90 kHz ticks times n.
func frameTicks(n int, c *mpeg4audio.AudioSpecificConfig) int64 {
	return int64(n) * 1024 * ingest.Clock / int64(c.SampleRate)
}

// aac is AAC as RFC 3640 has it.
type aac struct {
	audio
	config *mpeg4audio.AudioSpecificConfig
	dec    *rtpmpeg4audio.Decoder
}

func newAAC(f *format.MPEG4Audio, h hints) stream {
	dec, err := f.CreateDecoder()
	track := aacTrack(f.Config, h.config, h)
	if err != nil || track == nil {
		return nil
	}
	return &aac{audio: audio{kind: ingest.AAC, hints: h, track: track}, config: f.Config, dec: dec}
}

func (a *aac) packet(pkt *rtp.Packet, emit func(unit)) error {
	aus, err := a.dec.Decode(pkt)
	if err != nil {
		if errors.Is(err, rtpmpeg4audio.ErrMorePacketsNeeded) {
			return nil
		}
		return err
	}
	for i, au := range aus {
		emit(unit{rtp: pkt.Timestamp, offset: frameTicks(i, a.config), data: [][]byte{au}})
	}
	return nil
}

// latm is AAC as RFC 6416 has it, with its configuration in the SDP or in the stream.
type latm struct {
	audio
	inBand bool
	mux    *mpeg4audio.StreamMuxConfig // the newest
	dec    *rtpfragmented.Decoder
}

func newLATM(f *format.MPEG4AudioLATM, h hints) stream {
	dec, err := f.CreateDecoder()
	if err != nil {
		return nil
	}
	l := &latm{audio: audio{kind: ingest.AAC, hints: h}, inBand: f.CPresent, dec: dec}
	c := layer(f.StreamMuxConfig)
	switch {
	case c == nil:
	case f.StreamMuxConfig.Programs[0].Layers[0].FrameLengthType == 0:
		l.configure(f.StreamMuxConfig, nil)
	default:
		l.configure(plainMux(f.StreamMuxConfig), shiftedConfig(h.config))
	}
	return l
}

// plainMux is the multiplex without anything behind the AudioSpecificConfig. GStreamer's rtpmp4apay writes the whole of
// it there, with the backward compatible SBR extension (ISO/IEC 14496-3 1.6.5) that FFmpeg's encoder adds, and nothing
// else; it then reads like a length type that AAC cannot have.
func plainMux(m *mpeg4audio.StreamMuxConfig) *mpeg4audio.StreamMuxConfig {
	return &mpeg4audio.StreamMuxConfig{
		NumSubFrames: m.NumSubFrames,
		Programs: []*mpeg4audio.StreamMuxConfigProgram{{
			Layers: []*mpeg4audio.StreamMuxConfigLayer{{AudioSpecificConfig: layer(m), LatmBufferFullness: 255}},
		}},
	}
}

// shiftedConfig is the AudioSpecificConfig at bit 15 of a StreamMuxConfig, to its end.
func shiftedConfig(mux []byte) (asc []byte) {
	for i := 1; i+1 < len(mux); i++ {
		asc = append(asc, mux[i]<<7|mux[i+1]>>1)
	}
	return asc
}

// layer is the one layer that is carried: the first of the first program.
func layer(m *mpeg4audio.StreamMuxConfig) *mpeg4audio.AudioSpecificConfig {
	if m == nil || len(m.Programs) == 0 || len(m.Programs[0].Layers) == 0 {
		return nil
	}
	return m.Programs[0].Layers[0].AudioSpecificConfig
}

// configure takes a new multiplex; raw is its AudioSpecificConfig as sent, nil to make it of what was read.
func (l *latm) configure(m *mpeg4audio.StreamMuxConfig, raw []byte) {
	c := layer(m)
	if c == nil {
		return
	}
	t := aacTrack(c, raw, l.hints)
	if t == nil {
		return
	}
	l.mux = m
	if l.track == nil || !bytes.Equal(l.track.ASC, t.ASC) {
		t.Alone = l.single
		l.track = t
	}
}

func (l *latm) packet(pkt *rtp.Packet, emit func(unit)) error {
	raw, err := l.dec.Decode(pkt)
	if err != nil {
		if errors.Is(err, rtpfragmented.ErrMorePacketsNeeded) {
			return nil
		}
		return err
	}
	el := mpeg4audio.AudioMuxElement{MuxConfigPresent: l.inBand, StreamMuxConfig: l.mux}
	if err := el.Unmarshal(raw); err != nil {
		return err
	}
	if l.inBand && el.StreamMuxConfig != nil && el.StreamMuxConfig != l.mux {
		l.configure(el.StreamMuxConfig, nil)
	}
	c := layer(l.mux)
	if c == nil {
		return errors.New("LATM element before its configuration")
	}
	for i, sub := range el.Payloads {
		if len(sub) > 0 && len(sub[0]) > 0 {
			emit(unit{rtp: pkt.Timestamp, offset: frameTicks(i, c), data: [][]byte{sub[0][0]}})
		}
	}
	return nil
}

// mp3 is MPEG audio as RFC 2250 has it. The SDP does not tell the layer, the frames do.
type mp3 struct {
	audio
	dec *rtpmpeg1audio.Decoder
}

func newMP3(f *format.MPEG1Audio, h hints) stream {
	dec, err := f.CreateDecoder()
	if err != nil {
		return nil
	}
	return &mp3{audio: audio{kind: ingest.MP3, hints: h}, dec: dec}
}

func (m *mp3) packet(pkt *rtp.Packet, emit func(unit)) error {
	frames, err := m.dec.Decode(pkt)
	if err != nil {
		if errors.Is(err, rtpmpeg1audio.ErrMorePacketsNeeded) {
			return nil
		}
		return err
	}
	var offset int64
	for _, fr := range frames {
		emit(unit{rtp: pkt.Timestamp, offset: offset, data: [][]byte{fr}})
		var h mpeg1audio.FrameHeader
		if h.Unmarshal(fr) == nil && h.SampleRate > 0 {
			offset += int64(h.SampleCount()) * ingest.Clock / int64(h.SampleRate)
		}
	}
	return nil
}

func (m *mp3) frame(f *ingest.Frame) drop {
	var h mpeg1audio.FrameHeader
	if err := h.Unmarshal(f.Units[0]); err != nil || h.Layer != 3 {
		return dropUnusable
	}
	channels := 2
	if h.ChannelMode == mpeg1audio.ChannelModeMono {
		channels = 1
	}
	if t := m.track; t == nil || t.SampleRate != h.SampleRate || t.Channels != channels {
		m.track = &ingest.Track{Codec: ingest.MP3, SampleRate: h.SampleRate, Channels: channels, Bitrate: m.hints.bitrate, Alone: m.single}
	}
	return m.audio.frame(f)
}
