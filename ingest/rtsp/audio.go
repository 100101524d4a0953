package rtsp

import (
	"bytes"
	"errors"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpfragmented"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg1audio"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg1audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/rtsp/sdp"
)

// audio is what the audio streams share: a track that may become another.
type audio struct {
	kind    ingest.Codec
	bitrate int
	clock   int
	single  bool
	track   *ingest.Track
}

func (a *audio) codec() ingest.Codec { return a.kind }
func (a *audio) rate() int           { return a.clock }
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

// aacTrack describes AAC; asc is the AudioSpecificConfig as sent.
func aacTrack(asc []byte, bitrate int) (*ingest.Track, codec.AACConfig, error) {
	c, err := codec.ParseASC(asc)
	if err != nil {
		return nil, c, err
	}
	return &ingest.Track{Codec: ingest.AAC, ASC: asc, SampleRate: c.Rate, Channels: c.Channels, Bitrate: bitrate}, c, nil
}

// aacClock is the rate of the RTP clock of AAC, Hz: what rtpmap says, which for HE-AAC is the rate that plays.
func aacClock(f *sdp.Format, c codec.AACConfig) int {
	switch {
	case f.Clock > 0:
		return f.Clock
	case c.Announced != c.Object:
		return 2 * c.Rate
	}
	return c.Rate
}

// frameTicks is the length of n AAC frames, 90 kHz ticks.
func frameTicks(n int, rate int) int64 {
	return int64(n) * codec.AACSamples * ingest.Clock / int64(rate)
}

// aac is AAC as RFC 3640 has it.
type aac struct {
	audio
	config codec.AACConfig
	dec    *rtpmpeg4audio.Decoder
}

func newAAC(m *sdp.Media, f *sdp.Format) (stream, error) {
	h, err := readAUHeader(f.Params)
	if err != nil {
		return nil, err
	}
	d := &rtpmpeg4audio.Decoder{SizeLength: h.size, IndexLength: h.index, IndexDeltaLength: h.delta}
	if err := d.Init(); err != nil {
		return nil, err
	}
	asc := config(f.Params)
	if asc == nil {
		if asc, err = impliedConfig(f); err != nil {
			return nil, err
		}
	}
	t, c, err := aacTrack(asc, m.Bitrate)
	if err != nil {
		return nil, err
	}
	return &aac{audio: audio{kind: ingest.AAC, bitrate: m.Bitrate, clock: aacClock(f, c), track: t}, config: c, dec: d}, nil
}

// impliedConfig is the AudioSpecificConfig of AAC-LC with the rate and channels of rtpmap, for SDPs without a config that
// can be read.
func impliedConfig(f *sdp.Format) ([]byte, error) {
	index, ok := codec.AACRateIndex(f.Clock)
	channels := max(f.Channels, 1)
	if !ok || channels > 6 {
		return nil, errors.New("fmtp has no config that can be read, and rtpmap no rate")
	}
	return codec.AACConfig{Object: 2, RateIndex: index, ChannelConfig: channels}.ASC(), nil
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
		emit(unit{rtp: pkt.Timestamp, offset: frameTicks(i, a.config.Rate), data: [][]byte{au}})
	}
	return nil
}

// latm is AAC as RFC 6416 has it, with its configuration in the SDP or in the stream.
type latm struct {
	audio
	inBand bool
	mux    *mpeg4audio.StreamMuxConfig // the newest
	core   int                         // Hz, of the core coder
	dec    *rtpfragmented.Decoder
}

// ascBit is where the AudioSpecificConfig begins in a StreamMuxConfig with one program of one layer (ISO/IEC 14496-3 table
// 1.42).
const ascBit = 15

func newLATM(m *sdp.Media, f *sdp.Format) (stream, error) {
	d := &rtpfragmented.Decoder{}
	if err := d.Init(); err != nil {
		return nil, err
	}
	mux := config(f.Params)
	l := &latm{audio: audio{kind: ingest.AAC, bitrate: m.Bitrate, clock: f.Clock}, inBand: f.Params["cpresent"] != "0", dec: d}
	switch {
	case mux != nil:
		var asc []byte
		l.mux, asc = readMux(mux)
		t, c, err := aacTrack(asc, m.Bitrate)
		if err != nil {
			return nil, err
		}
		l.track, l.core, l.clock = t, c.Rate, aacClock(f, c)
	case !l.inBand:
		return nil, errors.New("fmtp says cpresent=0, and has no config that can be read")
	case l.clock == 0:
		l.clock = ingest.Clock // RFC 6416 7.3
	}
	return l, nil
}

// readMux takes a StreamMuxConfig of an SDP apart. If it says something else than one program of one layer with access units
// of variable length, what matters of it are its subframes: GStreamer's rtpmp4apay writes the whole of the
// AudioSpecificConfig there, with the backward compatible SBR extension (ISO/IEC 14496-3 1.6.5) that FFmpeg's encoder adds,
// and nothing else; it then reads like a length type that AAC cannot have. So does a program config element.
func readMux(b []byte) (m *mpeg4audio.StreamMuxConfig, asc []byte) {
	m = &mpeg4audio.StreamMuxConfig{}
	if err := m.Unmarshal(b); err == nil {
		if l := m.Programs[0].Layers[0]; l.FrameLengthType == 0 && l.AudioSpecificConfig.ChannelConfig != 0 {
			if asc, err = l.AudioSpecificConfig.Marshal(); err == nil {
				return m, asc
			}
		}
	}
	return &mpeg4audio.StreamMuxConfig{
		NumSubFrames: uint(b[0] & 0x3F),
		Programs:     []*mpeg4audio.StreamMuxConfigProgram{{Layers: []*mpeg4audio.StreamMuxConfigLayer{{LatmBufferFullness: 255}}}},
	}, fromBit(b, ascBit)
}

// fromBit is b from a bit on, to its last whole byte.
func fromBit(b []byte, bit int) (rest []byte) {
	for i := bit / 8; i+1 < len(b); i++ {
		rest = append(rest, b[i]<<(bit%8)|b[i+1]>>(8-bit%8))
	}
	return rest
}

// configure takes the multiplex that an element brought.
func (l *latm) configure(m *mpeg4audio.StreamMuxConfig) error {
	if len(m.Programs) == 0 || len(m.Programs[0].Layers) == 0 || m.Programs[0].Layers[0].AudioSpecificConfig == nil {
		return errors.New("LATM configuration without a layer")
	}
	asc, err := m.Programs[0].Layers[0].AudioSpecificConfig.Marshal()
	if err != nil {
		return err
	}
	t, c, err := aacTrack(asc, l.bitrate)
	if err != nil {
		return err
	}
	l.mux, l.core = m, c.Rate
	if l.track == nil || !bytes.Equal(l.track.ASC, t.ASC) {
		t.Alone = l.single
		l.track = t
	}
	return nil
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
		if err := l.configure(el.StreamMuxConfig); err != nil {
			return err
		}
	}
	if l.core == 0 {
		return errors.New("LATM element before its configuration")
	}
	for i, sub := range el.Payloads {
		if len(sub) > 0 && len(sub[0]) > 0 {
			emit(unit{rtp: pkt.Timestamp, offset: frameTicks(i, l.core), data: [][]byte{sub[0][0]}})
		}
	}
	return nil
}

// mp3 is MPEG audio as RFC 2250 has it. The SDP does not tell the layer, the frames do.
type mp3 struct {
	audio
	dec *rtpmpeg1audio.Decoder
}

func newMP3(m *sdp.Media, f *sdp.Format) (stream, error) {
	d := &rtpmpeg1audio.Decoder{}
	if err := d.Init(); err != nil {
		return nil, err
	}
	s := &mp3{audio: audio{kind: ingest.MP3, bitrate: m.Bitrate, clock: f.Clock}, dec: d}
	if s.clock == 0 {
		s.clock = ingest.Clock // RFC 2250 3.2
	}
	return s, nil
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
		m.track = &ingest.Track{Codec: ingest.MP3, SampleRate: h.SampleRate, Channels: channels, Bitrate: m.bitrate, Alone: m.single}
	}
	return m.audio.frame(f)
}
