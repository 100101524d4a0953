package rtsp

import (
	"errors"
	"fmt"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph265"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
	"github.com/hlsorigin/hlsorigin/ingest/rtsp/sdp"
)

// videoClock is the RTP clock rate of video in Hz (RFC 6184 8.1, RFC 7798 7.1).
const videoClock = 90000

// video is a stream of H.264 or H.265.
type video struct {
	kind      ingest.Codec
	said      codec.Video // parameter sets from the SDP
	bitrate   int
	frameRate float64
	clock     int
	dec       nalDecoder
	asm       assembler
}

func newH264(m *sdp.Media, f *sdp.Format) (stream, error) {
	if mode := number(f.Params, "packetization-mode"); mode > 1 {
		return nil, &codec.Unsupported{
			What: fmt.Sprintf("H.264 in packetization-mode=%d (interleaved)", mode), Do: "set the encoder to packetization-mode 1",
		}
	}
	d := &rtph264.Decoder{PacketizationMode: 1}
	return newVideo(m, f, ingest.H264, d, d.Init(), f.Params["sprop-parameter-sets"])
}

func newH265(m *sdp.Media, f *sdp.Format) (stream, error) {
	if n := number(f.Params, "sprop-max-don-diff"); n > 0 {
		return nil, &codec.Unsupported{
			What: fmt.Sprintf("H.265 with sprop-max-don-diff=%d (pictures out of decoding order)", n), Do: "set it to 0 in the encoder",
		}
	}
	d := &rtph265.Decoder{}
	return newVideo(m, f, ingest.H265, d, d.Init(), f.Params["sprop-vps"], f.Params["sprop-sps"], f.Params["sprop-pps"])
}

func newVideo(m *sdp.Media, f *sdp.Format, c ingest.Codec, d nalDecoder, err error, sets ...string) (stream, error) {
	if err != nil {
		return nil, err
	}
	v := &video{
		kind: c, said: parameterSets(c, sets...), bitrate: m.Bitrate, frameRate: m.FrameRate, clock: f.Clock,
		dec: d, asm: assembler{codec: c},
	}
	if v.clock == 0 {
		v.clock = videoClock
	}
	return v, nil
}

func (v *video) codec() ingest.Codec { return v.kind }
func (v *video) rate() int           { return v.clock }

func (v *video) hint(h *normalise.Hints) {
	h.HasVideo, h.VideoBitrate, h.FrameRate = true, v.bitrate, v.frameRate
}

func (v *video) announce(n *normalise.Stream, _ time.Time) error { return n.VideoHeader(&v.said) }

func (v *video) packet(pkt *rtp.Packet, arrival time.Time, emit func(unit)) error {
	nalus, err := nalUnits(v.dec, pkt)
	if errors.Is(err, rtph264.ErrMorePacketsNeeded) || errors.Is(err, rtph265.ErrMorePacketsNeeded) {
		err = nil
	}
	// The timestamp and the marker count even without a NAL unit.
	return errors.Join(err, v.asm.add(pkt.Timestamp, pkt.Marker, nalus, arrival, emit))
}

func (v *video) flush(emit func(unit)) { v.asm.flush(emit) }
