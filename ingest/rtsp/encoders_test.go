package rtsp

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/asticode/go-astits"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph265"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// coded is one picture from an encoder, with the times that the encoder gave.
type coded struct {
	pts, dts int64
	units    [][]byte
}

// encode encodes moving pictures with FFmpeg.
func encode(t *testing.T, c ingest.Codec, rate string, args ...string) (pictures []coded) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clip.ts")
	all := append([]string{"-f", "lavfi", "-i", "testsrc2=size=192x108:rate=" + rate, "-t", "3", "-threads", "1", "-pix_fmt", "yuv420p"}, args...)
	ffmpeg(t, append(all, file)...)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(b))
	for {
		data, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data.PES == nil {
			continue
		}
		h := data.PES.Header.OptionalHeader
		p := coded{pts: h.PTS.Base, dts: h.PTS.Base}
		if h.DTS != nil {
			p.dts = h.DTS.Base
		}
		for u := range codec.AnnexB(data.PES.Data) {
			if c.NAL(u) != codec.KindDelimiter {
				p.units = append(p.units, u)
			}
		}
		pictures = append(pictures, p)
	}
	if len(pictures) < 50 {
		t.Fatalf("%d pictures", len(pictures))
	}
	return pictures
}

// packer makes packets of NAL units.
type packer interface {
	Encode([][]byte) ([]*rtp.Packet, error)
}

func newPacker(t *testing.T, c ingest.Codec) packer {
	t.Helper()
	mtu := 600
	if c == ingest.H264 {
		e := &rtph264.Encoder{PayloadType: 96, PacketizationMode: 1, PayloadMaxSize: mtu}
		if err := e.Init(); err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := &rtph265.Encoder{PayloadType: 96, PayloadMaxSize: mtu}
	if err := e.Init(); err != nil {
		t.Fatal(err)
	}
	return e
}

// slicesOf returns the slices among units, and their number.
func slicesOf(c ingest.Codec, units [][]byte) (joined []byte, n int) {
	for _, u := range units {
		if c.NAL(u) == codec.KindSlice {
			joined, n = append(joined, u...), n+1
		}
	}
	return joined, n
}

// TestEncodersOrders checks that pictures of real encoders come out complete, with the encoder's own times, however they are reordered,
// sliced, refreshed and marked.
func TestEncodersOrders(t *testing.T) {
	x264 := func(params string, more ...string) []string {
		return append([]string{"-c:v", "libx264", "-preset", "veryfast", "-x264-params", "keyint=25:scenecut=0:" + params}, more...)
	}
	x265 := func(params string) []string {
		return []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25:pools=1:" + params}
	}
	for _, c := range []struct {
		name  string
		codec ingest.Codec
		rate  string
		args  []string
	}{
		{"h264 in order", ingest.H264, "25", x264("bframes=0")},
		{"h264 baseline", ingest.H264, "25", []string{"-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-g", "25"}},
		{"h264 one B-frame", ingest.H264, "30000/1001", x264("bframes=1:b-adapt=0")},
		{"h264 B-frames", ingest.H264, "50", x264("bframes=5:b-adapt=0:b-pyramid=none")},
		{"h264 pyramid", ingest.H264, "25", x264("bframes=3:b-adapt=0:b-pyramid=normal")},
		{"h264 adaptive B-frames", ingest.H264, "24", x264("bframes=16:b-adapt=2:b-pyramid=strict")},
		{"h264 slices", ingest.H264, "25", x264("bframes=2:b-adapt=0:slices=4")},
		{"h264 small slices", ingest.H264, "25", x264("bframes=0:slice-max-size=300")},
		{"h264 interlaced", ingest.H264, "25", x264("bframes=3:b-adapt=0:tff=1", "-flags", "+ilme+ildct")},
		{"h264 gradual refresh", ingest.H264, "25", x264("bframes=0:intra-refresh=1")},
		{"h264 open GOP", ingest.H264, "25", x264("bframes=3:b-adapt=0:open-gop=1")},
		{"h265 in order", ingest.H265, "25", x265("bframes=0")},
		{"h265 pyramid", ingest.H265, "25", x265("bframes=8:b-adapt=0:b-pyramid=1:rc-lookahead=12")},
		{"h265 open GOP", ingest.H265, "60", x265("bframes=4:b-adapt=0:open-gop=1")},
		{"h265 slices", ingest.H265, "25", x265("bframes=2:slices=3")},
		{"h265 gradual refresh", ingest.H265, "25", x265("bframes=0:intra-refresh=1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			pictures := encode(t, c.codec, c.rate, c.args...)
			for _, marked := range []string{"pictures", "units", "nothing"} {
				t.Run("marker on "+marked, func(t *testing.T) { checkOrders(t, c.codec, pictures, marked) })
			}
		})
	}
}

func checkOrders(t *testing.T, c ingest.Codec, pictures []coded, marked string) {
	t.Helper()
	b := newBenchOf(t, sdpHead+lineH264+"a=rtpmap:96 "+map[ingest.Codec]string{ingest.H264: "H264", ingest.H265: "H265"}[c]+"/90000\r\n", nil)
	pack, seq, start := newPacker(t, c), uint16(65500), b.now
	for _, p := range pictures {
		b.now = start.Add(time.Duration(p.dts-pictures[0].dts) * time.Second / ingest.Clock)
		groups := [][][]byte{p.units}
		if marked == "units" {
			groups = nil
			for _, u := range p.units {
				groups = append(groups, [][]byte{u})
			}
		}
		for _, g := range groups {
			pkts, err := pack.Encode(g)
			if err != nil {
				t.Fatal(err)
			}
			for _, pkt := range pkts {
				pkt.Timestamp, pkt.SequenceNumber, pkt.SSRC = uint32(p.pts)-1e6, seq, 7
				pkt.Marker = pkt.Marker && marked != "nothing"
				seq++
				b.receive(arrived{track: b.video, rtp: pkt})
			}
		}
	}
	b.end(ingest.ErrUnpublished)
	frames := b.r.all()
	checkOrder(t, frames, 0)
	if len(frames) != len(pictures) {
		t.Fatalf("%d frames of %d pictures", len(frames), len(pictures))
	}
	for i, f := range frames {
		p := pictures[i]
		want, n := slicesOf(c, p.units)
		if got, m := slicesOf(c, f.Units); !bytes.Equal(got, want) {
			t.Fatalf("picture %d: %d slices, %d bytes, want %d, %d", i, m, len(got), n, len(want))
		}
		if d := (f.PTS - frames[0].PTS) - (p.pts - pictures[0].pts); d < -1 || d > 1 {
			t.Errorf("picture %d: PTS is off by %d ticks", i, d)
		}
		if d := (f.PTS - f.DTS) - (p.pts - p.dts); d < -90 || d > 90 {
			t.Errorf("picture %d: DTS is off by %d ticks", i, d)
		}
	}
	l := &b.announce.Ledger.Video
	if _, lost := l.Cause(); lost != 0 || l.Repaired.Load() != 0 || int(l.Received.Load()) != len(pictures) {
		t.Errorf("%d received, %d lost, %d repaired", l.Received.Load(), lost, l.Repaired.Load())
	}
}
