package rtmp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// need skips a test if a program is missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// packet is a packet as reported by ffprobe.
type packet struct {
	Codec string `json:"codec_type"`
	PTS   int64  `json:"pts"`
	DTS   int64  `json:"dts"`
	Size  string `json:"size"`
	Flags string `json:"flags"`
	Hash  string `json:"data_hash"`
}

func probe(t *testing.T, file string) []packet {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_packets", "-show_data_hash", "md5", "-of", "json", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Packets []packet }
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	return all.Packets
}

const (
	testVideo = "-f lavfi -i testsrc2=size=320x180:rate=25"
	testTone  = "-f lavfi -i sine=frequency=440:sample_rate=44100"
	x264      = "-c:v libx264 -preset veryfast -bf 3 -g 25 -b:v 300k -pix_fmt yuv420p"
)

// TestFFmpegFrames compares every frame that ffmpeg publishes with what ffprobe reads from the same file.
func TestFFmpegFrames(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	ts := serve(t, Options{})
	for _, tc := range []struct {
		name, make string
		check      func(t *testing.T, video, audio *ingest.Track)
	}{
		{"h264_bframes_aac", testVideo + " " + testTone + " " + x264 + " -c:a aac -b:a 96k", func(t *testing.T, v, a *ingest.Track) {
			if v.Width != 320 || v.Height != 180 || v.FrameRate != 25 || len(v.SPS) != 1 || len(v.PPS) != 1 || v.Alone {
				t.Errorf("video track %+v", v)
			}
			if a.SampleRate != 44100 || a.Channels != 1 || len(a.ASC) == 0 || a.Alone {
				t.Errorf("audio track %+v", a)
			}
		}},
		{"video_only", testVideo + " " + x264, func(t *testing.T, v, a *ingest.Track) {
			if a != nil || !v.Alone {
				t.Errorf("tracks %+v %+v", v, a)
			}
		}},
		{"aac_only", testTone + " -c:a aac -ac 2", func(t *testing.T, v, a *ingest.Track) {
			if v != nil || !a.Alone || a.Codec != ingest.AAC || a.Channels != 2 {
				t.Errorf("tracks %+v %+v", v, a)
			}
		}},
		{"mp3_only", testTone + " -c:a libmp3lame -b:a 128k", func(t *testing.T, v, a *ingest.Track) {
			if v != nil || !a.Alone || a.Codec != ingest.MP3 || a.SampleRate != 44100 || a.Channels != 1 {
				t.Errorf("tracks %+v %+v", v, a)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "source.flv")
			run(t, "ffmpeg", append(append([]string{"-v", "error", "-y"}, strings.Fields(tc.make)...), "-t", "4", file)...)
			run(t, "ffmpeg", "-v", "error", "-i", file, "-c", "copy", "-f", "flv", ts.url("live/"+tc.name))
			s := ts.session(t)
			frames, cause := s.wait(t)
			if !errors.Is(cause, ingest.ErrUnpublished) {
				t.Errorf("cause %v", cause)
			}
			if s.Stream != tc.name || s.App != "live" || s.Identity != "test" {
				t.Errorf("announced %+v", s.Announce)
			}
			video, audio := compare(t, probe(t, file), frames)
			tc.check(t, video, audio)
		})
	}
}

// compare checks frames against packets, each kind in its order.
func compare(t *testing.T, packets []packet, frames []ingest.Frame) (video, audio *ingest.Track) {
	t.Helper()
	kinds := map[bool][]ingest.Frame{}
	for _, f := range frames {
		isVideo := f.Track.Codec.IsVideo()
		kinds[isVideo] = append(kinds[isVideo], f)
		if isVideo {
			if video != nil && video != f.Track {
				t.Error("the video track changed")
			}
			video = f.Track
		} else {
			if audio != nil && audio != f.Track {
				t.Error("the audio track changed")
			}
			audio = f.Track
		}
	}
	sources := map[bool][]packet{}
	for _, p := range packets {
		sources[p.Codec == "video"] = append(sources[p.Codec == "video"], p)
	}
	for isVideo, want := range sources {
		got := kinds[isVideo]
		if len(got) != len(want) {
			t.Errorf("video %t: %d frames, want %d", isVideo, len(got), len(want))
			continue
		}
		for i, w := range want {
			g := got[i]
			size := 0
			for _, u := range g.Units {
				size += len(u)
				if isVideo {
					size += 4
				}
			}
			key := strings.Contains(w.Flags, "K")
			off := g.DTS - got[0].DTS - (w.DTS-want[0].DTS)*90
			if !isVideo { // derived from the samples, between the milliseconds
				if step := samplesOf(g.Track); i > 0 && (off < -90 || off > 90 || math.Abs(float64(g.DTS-got[i-1].DTS)-step) > 2) {
					t.Errorf("audio frame %d is %d ticks from its millisecond, and %d behind the one before, want %.1f", i, off, g.DTS-got[i-1].DTS, step)
				}
				off = 0
			}
			if off != 0 || g.PTS-g.DTS != (w.PTS-w.DTS)*90 || strconv.Itoa(size) != w.Size || g.Key != key {
				t.Fatalf("video %t, frame %d: dts %d pts %d size %d key %t, want %+v", isVideo, i, g.DTS, g.PTS, size, g.Key, w)
			}
			if h := hash(g, isVideo); h != strings.TrimPrefix(w.Hash, "MD5:") {
				t.Fatalf("video %t, frame %d: other bytes", isVideo, i)
			}
		}
	}
	return video, audio
}

// samplesOf returns the length of a frame in ticks.
func samplesOf(t *ingest.Track) float64 {
	if t.Codec == ingest.MP3 {
		return 1152 * 90000 / float64(t.SampleRate)
	}
	return 1024 * 90000 / float64(t.SampleRate)
}

// TestAVOffset checks that audio and video keep the offset they have in the source.
func TestAVOffset(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	ts := serve(t, Options{})
	file := filepath.Join(t.TempDir(), "source.flv")
	args := strings.Fields("-v error -y " + testVideo + " -itsoffset 0.3 " + testTone + " " + x264 + " -c:a aac -t 2 " + file)
	run(t, "ffmpeg", args...)
	run(t, "ffmpeg", "-v", "error", "-copyts", "-i", file, "-c", "copy", "-f", "flv", ts.url("live/cam"))
	frames, _ := ts.session(t).wait(t)
	first := func(video bool) int64 {
		i := slices.IndexFunc(frames, func(f ingest.Frame) bool { return f.Track.Codec.IsVideo() == video })
		return frames[i].DTS / 90
	}
	got := first(false) - first(true)
	packets := probe(t, file)
	source := func(kind string) int64 {
		return packets[slices.IndexFunc(packets, func(p packet) bool { return p.Codec == kind })].DTS
	}
	if want := source("audio") - source("video"); math.Abs(float64(got-want)) > 1 {
		t.Errorf("audio begins %d ms after video, want %d", got, want)
	}
}

// TestRefusalShown checks that the person at the encoder can read why.
func TestRefusalShown(t *testing.T) {
	need(t, "ffmpeg")
	for _, tc := range []struct {
		name, path string
		refuse     error
		want       string
	}{
		{"unknown app", "nope/cam", nil, "this app does not exist: use live"},
		{"app instance", "live/instance/cam", nil, "one part too many"},
		{"name taken", "live/cam", ingest.Refuse(ingest.NameTaken, "live/cam is being published by another encoder"), "being published by another encoder"},
		{"internal", "live/cam", errors.New("disk on fire"), "cannot take the stream now"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pub := newFakePublisher()
			pub.refuse = tc.refuse
			ts := serve(t, Options{Publisher: pub})
			args := strings.Fields("-v error -re " + testVideo + " -t 20 " + x264 + " -f flv " + ts.url(tc.path))
			out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte(tc.want)) {
				t.Errorf("ffmpeg ended with %v and said\n%s", err, out)
			}
		})
	}
}

func TestGStreamer(t *testing.T) {
	need(t, "gst-launch-1.0")
	ts := serve(t, Options{})
	run(t, "gst-launch-1.0", "-q", "flvmux", "name=m", "streamable=true", "!", "rtmp2sink", "location="+ts.url("live/gst"),
		"videotestsrc", "num-buffers=50", "!", "video/x-raw,width=320,height=180,framerate=25/1", "!", "x264enc", "key-int-max=25", "!", "m.",
		"audiotestsrc", "num-buffers=86", "!", "audio/x-raw,rate=44100,channels=2", "!", "avenc_aac", "!", "m.")
	frames, cause := ts.session(t).wait(t)
	video, audio := 0, 0
	for _, f := range frames {
		if f.Track.Codec.IsVideo() {
			video++
		} else {
			audio++
		}
	}
	if video != 50 || audio < 80 {
		t.Errorf("%d pictures and %d audio frames, cause %v", video, audio, cause)
	}
}
