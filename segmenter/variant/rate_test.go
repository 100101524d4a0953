package variant

import (
	"encoding/hex"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

var avc = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}

func tracks() cut.Tracks {
	return cut.Tracks{
		Video: &ingest.Track{Codec: ingest.H264, SPS: [][]byte{avc}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 25},
		Audio: &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x11, 0x90}},
	}
}

// second is a segment of a second with so many bits.
func second(bits int64) *Sample {
	return &Sample{Size: bits / 8, VideoBytes: bits / 16, Duration: codec.Clock}
}

// A figure is raised only when it is exceeded by a tenth; those of averages follow in both directions.
func TestRate(t *testing.T) {
	var r Rate
	for i, c := range []struct {
		sample               *Sample
		peak, average, video int // bits per second
	}{
		{second(1_000_000), 1_000_000, 1_000_000, 500_000},
		{second(1_096_000), 1_000_000, 1_000_000, 500_000},                                                 // no tenth more
		{second(1_200_000), 1_200_000, 1_098_666, 549_333},                                                 // that shows
		{second(80_000), 1_200_000, 844_000, 422_000},                                                      // the average is less by more than a tenth
		{&Sample{Size: 200_000, VideoBytes: 1, Duration: codec.Clock / 10}, 1_600_000, 1_213_658, 411_709}, // as if it lasted a second
	} {
		r.Add(c.sample)
		v := r.Variant(tracks())
		if v.Bandwidth != c.peak {
			t.Errorf("%d: peak %d, want %d", i, v.Bandwidth, c.peak)
		}
		if v.AverageBandwidth != c.average || v.VideoBitrate != c.video {
			t.Errorf("%d: average %d, video %d; want %d, %d", i, v.AverageBandwidth, v.VideoBitrate, c.average, c.video)
		}
		if v.Codecs != "avc1.64001f,mp4a.40.2" || v.Width != 1280 || v.FrameRate != 25 || v.VideoCodec != "h264" || v.AudioCodec != "aac" {
			t.Errorf("%d: %+v", i, v)
		}
	}
}

// What encoders announce counts until more was measured.
func TestAnnounced(t *testing.T) {
	var r Rate
	of := tracks()
	of.Video.Bitrate, of.Audio.Bitrate = 800_000, 160_000
	if v := r.Variant(of); v.Bandwidth != 1_200_000 || v.AverageBandwidth != 0 {
		t.Errorf("%+v", v)
	}
	r.Add(second(2_000_000))
	if v := r.Variant(of); v.Bandwidth != 2_000_000 {
		t.Errorf("%+v", v)
	}
}

func TestKeyframes(t *testing.T) {
	var r Rate
	for i, c := range []struct{ key, want int }{{0, 0}, {10_000, 88_000}, {10_900, 88_000}, {12_000, 105_600}, {1, 105_600}} {
		s := second(1_000_000)
		s.Key = c.key
		r.Add(s)
		if v := r.Variant(tracks()); v.IFrameBandwidth != c.want {
			t.Errorf("%d: %d, want %d", i, v.IFrameBandwidth, c.want)
		}
	}
}

// What was shown before a restart, or by another server, is not taken back.
func TestRestore(t *testing.T) {
	var r, other Rate
	was := Variant{Bandwidth: 5_000_000, Captions: Captions{Sent: true, Channels: codec.CC1}, IFrameBandwidth: 70_000}
	r.Restore(was)
	r.Add(second(1_000_000))
	if v := r.Variant(tracks()); v.Bandwidth != 5_000_000 || v.Captions != was.Captions || v.IFrameBandwidth != 70_000 {
		t.Errorf("%+v", v)
	}
	other.Add(second(1_000_000))
	other.Variant(tracks())
	for _, bandwidth := range []int{5_000_000, 2_000_000} {
		other.Raise(bandwidth)
		if v := other.Variant(tracks()); v.Bandwidth != 5_000_000 {
			t.Errorf("%d: %+v", bandwidth, v)
		}
	}
}

// VIDEO-RANGE is what the SPS says, of each track that comes; SDR is not said.
func TestVideoRange(t *testing.T) {
	var r Rate
	for _, c := range []struct {
		name          string
		codec         codec.Codec
		vps, sps, pps string
		want          string
	}{
		{"PQ, H.264", codec.H264, "", "676e1015a6cb82833f3e02d42440250000030001000003006404", "68ebe3cb22c0", "PQ"},
		{"SDR", codec.H264, "", hex.EncodeToString(avc), "68ee3c80", ""},
		{"HLG, HEVC", codec.H265, "40010c01ffff022000000300900000030000030078959809", "420101022000000300900000030000030078a00280802d1365959a4932bc05a84890482000007d20001d4c01", "4401c172b46240", "HLG"},
		{"unreadable", codec.H264, "", "676e1015a6cb82", "68ebe3cb22c0", ""},
	} {
		track := &ingest.Track{Codec: c.codec, VPS: sets(t, c.vps), SPS: sets(t, c.sps), PPS: sets(t, c.pps)}
		for range 2 {
			if v := r.Variant(cut.Tracks{Video: track}); v.VideoRange != c.want {
				t.Errorf("%s: %q", c.name, v.VideoRange)
			}
		}
	}
}

func sets(t *testing.T, text string) [][]byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{b}
}
