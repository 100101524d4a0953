package cut

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// start is when frames begin to come.
var start = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

// testTracks returns new tracks of 25 pictures a second and of 48 kHz.
func testTracks() Tracks {
	return Tracks{
		Video: &ingest.Track{Codec: ingest.H264, SPS: [][]byte{{0x67, 0x64, 0x00, 0x1f}}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, FrameRate: 25},
		Audio: &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2},
	}
}

// TestTracksSame checks what a decoder must be reset for: not picture parameter sets, which are repeated before every keyframe.
func TestTracksSame(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(v, a *ingest.Track)
		want   bool
	}{
		{"nothing", func(v, a *ingest.Track) {}, true},
		{"PPS", func(v, a *ingest.Track) { v.PPS = nil }, true},
		{"SPS", func(v, a *ingest.Track) { v.SPS = [][]byte{{0x67, 0x64, 0x00, 0x20}} }, false},
		{"VPS", func(v, a *ingest.Track) { v.VPS = [][]byte{{0x40}} }, false},
		{"codec", func(v, a *ingest.Track) { v.Codec = ingest.H265 }, false},
		{"ASC", func(v, a *ingest.Track) { a.ASC = []byte{0x12, 0x10} }, false},
		{"sample rate", func(v, a *ingest.Track) { a.SampleRate = 44100 }, false},
		{"channels", func(v, a *ingest.Track) { a.Channels = 1 }, false},
	} {
		before, after := testTracks(), testTracks()
		tc.change(after.Video, after.Audio)
		if before.Same(after) != tc.want {
			t.Errorf("%s: the same: %v", tc.name, !tc.want)
		}
	}
	if both := testTracks(); both.Same(Tracks{Video: both.Video}) || !both.Same(both) {
		t.Error("a track less")
	}
}
