package intake

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// start is when frames begin to come.
var start = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

func videoTrack() *ingest.Track { return &ingest.Track{Codec: ingest.H264, FrameRate: 25} }

func audioTrack() *ingest.Track {
	return &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2}
}

// TestGatherIsReady checks how long a second track and a keyframe are awaited: media time, 40 ms a frame.
func TestGatherIsReady(t *testing.T) {
	for _, tc := range []struct {
		name  string
		video bool
		alone bool // the encoder said that there is one track
		both  bool // and that there are two
		key   int  // the first keyframe
		want  int  // frames until it is ready
	}{
		{"one track that may be the first of two", true, false, false, 0, 26},
		{"the only track", true, true, false, 0, 4},
		{"one of two that were announced", true, false, true, 0, 151},
		{"sound", false, false, false, 0, 26},
		{"no keyframe at first", true, true, false, 50, 54},
		{"no keyframe", true, true, false, 1 << 20, 304},
	} {
		g, track := new(Gather), audioTrack()
		if tc.video {
			track = videoTrack()
		}
		track.Alone, track.Both = tc.alone, tc.both
		n := 0
		for ; n < 1000 && !g.Ready(); n++ {
			at := time.Duration(n) * 40 * time.Millisecond
			f := &ingest.Frame{Track: track, DTS: codec.Ticks(at), PTS: codec.Ticks(at), Units: [][]byte{{0x41, 0x9a}}, Arrival: start.Add(at)}
			if n == tc.key {
				f.Units[0][0] = 0x65
			}
			g.Add(f)
		}
		if n != tc.want {
			t.Errorf("%s: ready after %d frames, want %d", tc.name, n, tc.want)
		}
	}
}

// TestGatherKeepsSoundOfThePicture checks that audio which was sent before the first picture is kept if it is heard with it, follows it,
// and that the rest is returned.
func TestGatherKeepsSoundOfThePicture(t *testing.T) {
	g, video, audio := new(Gather), videoTrack(), audioTrack()
	add := func(track *ingest.Track, at time.Duration, first byte) {
		if lost := g.Add(&ingest.Frame{Track: track, DTS: codec.Ticks(at), PTS: codec.Ticks(at), Units: [][]byte{{first, 1}}, Arrival: start}); lost != nil {
			t.Errorf("%v is dropped at once", at)
		}
	}
	for at := time.Duration(0); at < time.Second; at += 100 * time.Millisecond {
		add(audio, at, 0x21)
	}
	if g.Ready() || !g.Usable() {
		t.Error("sound alone")
	}
	add(video, 700*time.Millisecond, 0x65)
	if got := g.Tracks(); got != (cut.Tracks{Video: video, Audio: audio}) {
		t.Errorf("%+v", got)
	}
	frames, dropped := g.Take()
	if len(frames) != 4 || len(dropped) != 7 || frames[0].Track != video || frames[1].DTS != codec.Ticks(700*time.Millisecond) {
		t.Errorf("%d frames, %d dropped", len(frames), len(dropped))
	}
	if !g.Done() || g.Usable() {
		t.Error("it was taken")
	}
}

// TestMade checks that the least delayed of the first frames says when they were made.
func TestMade(t *testing.T) {
	track := videoTrack()
	var burst []ingest.Frame
	for i := range int64(10) { // frames of a third of a second come at once
		burst = append(burst, ingest.Frame{Track: track, DTS: i * 3600, Arrival: start})
	}
	if got, want := Made(burst), start.Add(-9*40*time.Millisecond); !got.Equal(want) {
		t.Errorf("made %v before they came", start.Sub(got))
	}
	if got := Made(burst[:1]); !got.Equal(start) {
		t.Errorf("one frame: %v", got)
	}
}
