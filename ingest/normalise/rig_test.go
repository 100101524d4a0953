package normalise

import (
	"bytes"
	"encoding/hex"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Parameter sets for 320x180 and 160x90 at 25 frames a second, and an AudioSpecificConfig for AAC-LC, 44100 Hz, stereo.
const (
	avcSPS   = "6764000cacd941419f9f011000000300100000030320f1429960"
	avcPPS   = "68ef8fcb"
	avcSmall = "6764000bacd9428df93011000003000100000300320f142996"
	hevcVPS  = "40010c01ffff01600000030090000003000003003c959809"
	hevcSPS  = "42010101600000030090000003000003003ca00a080b9f796566924caf016808000003000800000300c840"
	hevcPPS  = "4401c172b46240"
	ascLC    = "1210"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// syntax makes the NAL units of a codec. Each slice has its own payload, by which it is recognised.
type syntax struct {
	codec         ingest.Codec
	sets          [][]byte
	delimiter     []byte
	sei, suffix   []byte
	key, other    []byte // headers of slices
	first, middle byte   // what follows: the beginning of a picture, or not
}

func syntaxes(t testing.TB) map[string]syntax {
	return map[string]syntax{
		"H.264": {ingest.H264, [][]byte{unhex(t, avcSPS), unhex(t, avcPPS)}, unhex(t, "09f0"), unhex(t, "0605040000000080"), unhex(t, "0cffff80"),
			unhex(t, "65"), unhex(t, "41"), 0x88, 0x40},
		"H.265": {ingest.H265, [][]byte{unhex(t, hevcVPS), unhex(t, hevcSPS), unhex(t, hevcPPS)}, unhex(t, "460150"), unhex(t, "4e0105040000000080"),
			unhex(t, "500184100000000000000000000000000000000080"), unhex(t, "2601"), unhex(t, "0201"), 0x80, 0x40},
	}
}

func (s *syntax) slice(key, first bool, n int) []byte {
	head, next := s.other, s.middle
	if key {
		head = s.key
	}
	if first {
		next = s.first
	}
	return append(bytes.Clone(head), next, byte(n>>8)|1, byte(n)|1, 0x55)
}

// config returns the configuration of the sets.
func (s *syntax) config() *codec.Video {
	v := &codec.Video{Codec: s.codec}
	for _, u := range s.sets {
		switch s.codec.NAL(u) {
		case codec.KindVPS:
			v.VPS = append(v.VPS, u)
		case codec.KindSPS:
			v.SPS = append(v.SPS, u)
		case codec.KindPPS:
			v.PPS = append(v.PPS, u)
		}
	}
	return v
}

// rig is a stream, its output, and a clock.
type rig struct {
	*Stream
	t      testing.TB
	ledger *ingest.Ledger
	frames []ingest.Frame
	err    error // the sink's answer
	now    time.Time
	said   bytes.Buffer
}

func newRig(t testing.TB, o Options) *rig {
	r := &rig{t: t, ledger: ingest.NewLedger(new(ingest.Totals)), now: time.Unix(1_000_000, 0)}
	o.Ledger, o.Log = r.ledger, slog.New(slog.NewTextHandler(&r.said, nil))
	r.Stream = New(r, o)
	return r
}

// WriteFrame keeps a frame and checks what is true of every frame.
func (r *rig) WriteFrame(f *ingest.Frame) error {
	if f.Track == nil || len(f.Units) == 0 || f.PTS < f.DTS {
		r.t.Errorf("frame %+v", f)
	}
	c := *f
	c.Units = nil
	for _, u := range f.Units {
		c.Units = append(c.Units, bytes.Clone(u))
	}
	r.frames = append(r.frames, c)
	return r.err
}

// video sends a message with timestamps in milliseconds. Its memory is reused.
func (r *rig) video(c ingest.Codec, pts, dts int64, key bool, units ...[]byte) error {
	r.t.Helper()
	m := Video{Codec: c, PTS: pts * millisecond, DTS: dts * millisecond, Key: key, Arrival: r.now}
	for _, u := range units {
		m.Units = append(m.Units, bytes.Clone(u))
	}
	err := r.Video(&m)
	if !r.o.Retained {
		for i, u := range m.Units {
			clear(u)
			m.Units[i] = nil
		}
	}
	return err
}

// must sends a message that is accepted.
func (r *rig) must(c ingest.Codec, ms int64, key bool, units ...[]byte) {
	r.t.Helper()
	if err := r.video(c, ms, ms, key, units...); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) sound(ms int64, frame []byte) {
	r.t.Helper()
	b := bytes.Clone(frame)
	if err := r.Audio(&Audio{Codec: ingest.AAC, Data: b, PTS: ms * millisecond, Arrival: r.now}); err != nil {
		r.t.Fatal(err)
	}
	if !r.o.Retained {
		clear(b)
	}
}

// aac returns a frame with a pair of channels, identified by n.
func aac(n int) []byte { return []byte{0x21, byte(n >> 8), byte(n), 0x49, 0x90, 0x02} }

// mono returns a frame with a single channel.
func mono(n int) []byte { return []byte{0x01, byte(n >> 8), byte(n), 0x20, 0x07, 0x02} }

func (r *rig) header(asc string) {
	r.t.Helper()
	if err := r.AudioHeader(unhex(r.t, asc), r.now); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) end() {
	r.t.Helper()
	if err := r.Flush(); err != nil {
		r.t.Fatal(err)
	}
}

// pass advances the clock.
func (r *rig) pass(d time.Duration) { r.now = r.now.Add(d) }

// of returns the frames of one kind.
func (r *rig) of(video bool) (all []ingest.Frame) {
	for _, f := range r.frames {
		if f.Track.Codec.IsVideo() == video {
			all = append(all, f)
		}
	}
	return all
}

// dropped checks how many frames were dropped for each reason, and that no others were.
func (r *rig) dropped(a *ingest.Account, want map[ingest.Reason]int64) {
	r.t.Helper()
	for reason := range ingest.NumReasons {
		if got := a.Dropped[reason].Load(); got != want[reason] {
			r.t.Errorf("%d frames were dropped for %v, want %d", got, reason, want[reason])
		}
	}
}

func (r *rig) configure(v *codec.Video) {
	r.t.Helper()
	if err := r.VideoHeader(v); err != nil {
		r.t.Fatal(err)
	}
}
