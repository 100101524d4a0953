package rtsp

import (
	"errors"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpfragmented"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg1audio"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
	"github.com/hlsorigin/hlsorigin/ingest/rtsp/sdp"
)

// audio is common to the audio streams.
type audio struct {
	kind    ingest.Codec
	bitrate int
	clock   int
	asc     []byte // AudioSpecificConfig from the SDP; nil if there is none

	hz, channels int // from rtpmap, if nothing else states them
}

func (a *audio) codec() ingest.Codec { return a.kind }
func (a *audio) rate() int           { return a.clock }
func (a *audio) flush(func(unit))    {}

func (a *audio) hint(h *normalise.Hints) {
	h.HasAudio, h.AudioBitrate, h.AudioRate, h.AudioChannels = true, a.bitrate, a.hz, a.channels
}

func (a *audio) announce(n *normalise.Stream, now time.Time) error {
	if a.asc == nil {
		return nil
	}
	return n.AudioHeader(a.asc, now)
}

// aacClock returns the rate of the RTP clock of AAC in Hz: what rtpmap says, which for HE-AAC is the rate at which it plays.
func aacClock(f *sdp.Format, c codec.AACConfig) int {
	switch {
	case f.Clock > 0:
		return f.Clock
	case c.Announced != c.Object:
		return 2 * c.Rate
	}
	return c.Rate
}

// frameTicks returns the length of n AAC frames in 90 kHz ticks.
func frameTicks(n int, rate int) int64 {
	return int64(n) * codec.AACSamples * ingest.Clock / int64(rate)
}

// aac is AAC in the format of RFC 3640.
type aac struct {
	audio
	core int // Hz, of the core coder
	dec  *rtpmpeg4audio.Decoder
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
	a := &aac{audio: audio{kind: ingest.AAC, bitrate: m.Bitrate, asc: config(f.Params)}, dec: d}
	c, err := codec.ParseASC(a.asc)
	if _, ok := err.(*codec.Unsupported); err != nil && !ok { // missing, or not a configuration
		a.asc = nil
		c, err = impliedConfig(f)
		a.hz, a.channels = f.Clock, f.Channels
	}
	if err != nil {
		return nil, err
	}
	a.core, a.clock = c.Rate, aacClock(f, c)
	return a, nil
}

// impliedConfig returns what rtpmap says about AAC, for SDPs without a readable config.
func impliedConfig(f *sdp.Format) (c codec.AACConfig, err error) {
	if _, ok := codec.AACRateIndex(f.Clock); !ok {
		return c, errors.New("fmtp has no config that can be read, and rtpmap no rate of AAC")
	}
	return codec.AACConfig{Rate: f.Clock}, nil
}

func (a *aac) packet(pkt *rtp.Packet, now time.Time, emit func(unit)) error {
	aus, err := a.dec.Decode(pkt)
	if err != nil {
		if errors.Is(err, rtpmpeg4audio.ErrMorePacketsNeeded) {
			return nil
		}
		return err
	}
	for i, au := range aus {
		emit(unit{rtp: pkt.Timestamp, arrival: now, offset: frameTicks(i, a.core), data: [][]byte{au}})
	}
	return nil
}

// latm is AAC in the format of RFC 6416, with its configuration in the SDP or in the stream.
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
		l.mux, l.asc = readMux(mux)
		c, err := codec.ParseASC(l.asc)
		if err != nil {
			return nil, err
		}
		l.core, l.clock = c.Rate, aacClock(f, c)
	case !l.inBand:
		return nil, errors.New("fmtp says cpresent=0, and has no config that can be read")
	case l.clock == 0:
		l.clock = ingest.Clock // RFC 6416 7.3
	}
	return l, nil
}

// readMux parses a StreamMuxConfig from an SDP. Unless it describes one program of one layer with access units of variable length, only its
// subframes count. GStreamer's rtpmp4apay writes the whole AudioSpecificConfig there and nothing else, with the backward compatible SBR
// extension (ISO/IEC 14496-3 1.6.5) that FFmpeg's encoder adds; it then reads like a length type that AAC cannot have. So does a program
// config element.
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

// fromBit returns b from a bit on, to its last whole byte.
func fromBit(b []byte, bit int) (rest []byte) {
	for i := bit / 8; i+1 < len(b); i++ {
		rest = append(rest, b[i]<<(bit%8)|b[i+1]>>(8-bit%8))
	}
	return rest
}

// configure takes the multiplex that an element brought, and returns its AudioSpecificConfig.
func (l *latm) configure(m *mpeg4audio.StreamMuxConfig) (asc []byte, err error) {
	if len(m.Programs) == 0 || len(m.Programs[0].Layers) == 0 || m.Programs[0].Layers[0].AudioSpecificConfig == nil {
		return nil, errors.New("LATM configuration without a layer")
	}
	if asc, err = m.Programs[0].Layers[0].AudioSpecificConfig.Marshal(); err != nil {
		return nil, err
	}
	c, err := codec.ParseASC(asc)
	if err != nil {
		return nil, err
	}
	l.mux, l.core = m, c.Rate
	return asc, nil
}

func (l *latm) packet(pkt *rtp.Packet, now time.Time, emit func(unit)) error {
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
	var asc []byte
	if l.inBand && el.StreamMuxConfig != nil && el.StreamMuxConfig != l.mux {
		if asc, err = l.configure(el.StreamMuxConfig); err != nil {
			return err
		}
	}
	if l.core == 0 {
		return errors.New("LATM element before its configuration")
	}
	for i, sub := range el.Payloads {
		if len(sub) > 0 && len(sub[0]) > 0 {
			emit(unit{rtp: pkt.Timestamp, arrival: now, offset: frameTicks(i, l.core), config: asc, data: [][]byte{sub[0][0]}})
		}
	}
	return nil
}

// mp3 is MPEG audio in the format of RFC 2250. The SDP does not state the layer; the frames do.
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

func (m *mp3) packet(pkt *rtp.Packet, now time.Time, emit func(unit)) error {
	frames, err := m.dec.Decode(pkt)
	if err != nil {
		if errors.Is(err, rtpmpeg1audio.ErrMorePacketsNeeded) {
			return nil
		}
		return err
	}
	var offset int64
	for _, fr := range frames {
		emit(unit{rtp: pkt.Timestamp, arrival: now, offset: offset, data: [][]byte{fr}})
		if h, ok := codec.ParseMP3(fr); ok {
			offset += int64(h.Samples) * ingest.Clock / int64(h.Rate)
		}
	}
	return nil
}
