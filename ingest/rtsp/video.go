package rtsp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph265"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/rtsp/sdp"
)

// maxParameterSets bounds how many sets of one kind a track keeps.
const maxParameterSets = 16

// video is a stream of H.264 or H.265.
type video struct {
	syntax    nalSyntax
	bitrate   int
	frameRate float64
	clock     int
	single    bool
	dec       nalDecoder
	asm       assembler

	vps, sps, pps [][]byte
	track         *ingest.Track // nil while the parameter sets are not complete
	newDTS        func() dtsSource
	dts           dtsSource
	lastDTS       int64
	begun         bool
}

// videoClock is the clock of RTP for video, Hz (RFC 6184 8.1, RFC 7798 7.1).
const videoClock = 90000

func newH264(m *sdp.Media, f *sdp.Format) (stream, error) {
	if mode := number(f.Params, "packetization-mode"); mode > 1 {
		return nil, &codec.Unsupported{
			What: fmt.Sprintf("H.264 in packetization-mode=%d (interleaved)", mode), Do: "set the encoder to packetization-mode 1",
		}
	}
	d := &rtph264.Decoder{PacketizationMode: 1}
	syntax := nalSyntax{codec: ingest.H264, kind: kindH264, describe: describeH264}
	return newVideo(m, f, syntax, d, d.Init(), f.Params["sprop-parameter-sets"])
}

func newH265(m *sdp.Media, f *sdp.Format) (stream, error) {
	if n := number(f.Params, "sprop-max-don-diff"); n > 0 {
		return nil, &codec.Unsupported{
			What: fmt.Sprintf("H.265 with sprop-max-don-diff=%d (pictures out of decoding order)", n), Do: "set it to 0 in the encoder",
		}
	}
	d := &rtph265.Decoder{}
	syntax := nalSyntax{codec: ingest.H265, kind: kindH265, describe: describeH265}
	return newVideo(m, f, syntax, d, d.Init(), f.Params["sprop-vps"], f.Params["sprop-sps"], f.Params["sprop-pps"])
}

func newVideo(m *sdp.Media, f *sdp.Format, syntax nalSyntax, d nalDecoder, err error, sets ...string) (stream, error) {
	if err != nil {
		return nil, err
	}
	s := parameterSets(syntax.codec, sets...)
	v := &video{syntax: syntax, bitrate: m.Bitrate, frameRate: m.FrameRate, clock: f.Clock, dec: d, vps: s.VPS, sps: s.SPS, pps: s.PPS}
	if v.clock == 0 {
		v.clock = videoClock
	}
	return v, nil
}

func (v *video) codec() ingest.Codec { return v.syntax.codec }
func (v *video) rate() int           { return v.clock }

// alone comes before the first frame, and the track is made with it from what the SDP says.
func (v *video) alone(b bool) {
	v.single = b
	v.configure()
}

func (v *video) jumped() {
	if v.newDTS != nil {
		v.dts = v.newDTS()
	}
}

func (v *video) packet(pkt *rtp.Packet, emit func(unit)) error {
	nalus, err := nalUnits(v.dec, pkt)
	if errors.Is(err, rtph264.ErrMorePacketsNeeded) || errors.Is(err, rtph265.ErrMorePacketsNeeded) {
		err = nil
	}
	// Without a NAL unit, too, the time stamp and the marker count.
	return errors.Join(err, v.asm.add(pkt.Timestamp, pkt.Marker, nalus, emit))
}

func (v *video) frame(f *ingest.Frame) drop {
	v.learn(f.Units)
	if v.track == nil {
		return dropNoParameters
	}
	slice := false
	for _, n := range f.Units {
		switch v.syntax.kind(n) {
		case nalKey:
			f.Key, slice = true, true
		case nalSlice:
			slice = true
		}
	}
	if !slice {
		return dropUnusable
	}
	f.Track = v.track
	dts, ok := v.dts.next(f.Units, f.PTS, f.Key)
	if ok && v.begun && dts <= v.lastDTS {
		// A source that began anew, with deeper reordering than the one before, begins in its past.
		dts = v.lastDTS + 1
		ok = dts <= f.PTS
	}
	if !ok {
		return dropNoDTS
	}
	v.begun, v.lastDTS, f.DTS = true, dts, dts
	return 0
}

// learn takes the parameter sets of an access unit. A set that is sent again changes nothing.
func (v *video) learn(units [][]byte) {
	var vps, sps, pps [][]byte
	for _, n := range units {
		switch v.syntax.kind(n) {
		case nalVPS:
			vps = appendSet(vps, n)
		case nalSPS:
			sps = appendSet(sps, n)
		case nalPPS:
			pps = appendSet(pps, n)
		}
	}
	changed := replace(&v.vps, vps)
	changed = replace(&v.sps, sps) || changed
	if sps == nil && pps != nil && !subset(pps, v.pps) {
		// Picture parameter sets may come one by one. Those with the same beginning, which holds their number, replace
		// one another; where that is wrong, an encoder sends all of them again with its next SPS.
		pps = slices.Concat(slices.DeleteFunc(slices.Clone(v.pps), func(old []byte) bool {
			return slices.ContainsFunc(pps, func(n []byte) bool { return sameNumber(old, n, v.syntax.codec) })
		}), pps)
		pps = pps[max(0, len(pps)-maxParameterSets):]
	} else if sps == nil {
		pps = nil
	}
	changed = replace(&v.pps, pps) || changed
	if changed {
		v.configure()
	}
}

func appendSet(sets [][]byte, n []byte) [][]byte {
	if len(sets) == maxParameterSets || slices.ContainsFunc(sets, func(s []byte) bool { return bytes.Equal(s, n) }) {
		return sets
	}
	return append(sets, n)
}

// replace puts a copy of sets in place of *old, unless they are the same or none.
func replace(old *[][]byte, sets [][]byte) bool {
	if len(sets) == 0 || slices.EqualFunc(*old, sets, bytes.Equal) {
		return false
	}
	*old = nil
	for _, s := range sets {
		*old = append(*old, bytes.Clone(s)) // the packet it lies in may be large
	}
	return true
}

func subset(sets, of [][]byte) bool {
	for _, s := range sets {
		if !slices.ContainsFunc(of, func(o []byte) bool { return bytes.Equal(o, s) }) {
			return false
		}
	}
	return true
}

// sameNumber tells whether two picture parameter sets have the same number, pic_parameter_set_id.
func sameNumber(a, b []byte, c ingest.Codec) bool {
	head := 1
	if c == ingest.H265 {
		head = 2
	}
	return len(a) > head && len(b) > head && leadingUE(a[head]) == leadingUE(b[head])
}

// leadingUE is an Exp-Golomb number at the beginning of a byte, of those that fit in it; larger ones are all 255.
func leadingUE(b byte) int {
	zeros := 0
	for ; zeros < 4 && b&(0x80>>zeros) == 0; zeros++ {
	}
	if zeros == 4 {
		return 255
	}
	return int(b>>(7-2*zeros)) - 1
}

// configure makes a new Track of the parameter sets at hand; without a usable SPS the old one stays.
func (v *video) configure() {
	if len(v.sps) == 0 || len(v.pps) == 0 || v.syntax.codec == ingest.H265 && len(v.vps) == 0 {
		return
	}
	t := &ingest.Track{
		Codec: v.syntax.codec, VPS: v.vps, SPS: v.sps, PPS: v.pps,
		FrameRate: v.frameRate, Bitrate: v.bitrate, Alone: v.single,
	}
	newDTS, err := v.syntax.describe(t)
	if err != nil {
		return
	}
	// Only another SPS can change the order of pictures.
	if v.track == nil || !slices.EqualFunc(v.track.SPS, t.SPS, bytes.Equal) {
		v.newDTS = newDTS
		v.dts = newDTS()
	}
	v.track = t
}
