package rtsp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// ffmpeg runs FFmpeg to its end, and fails the test with its output if it fails.
func ffmpeg(t *testing.T, args ...string) []byte {
	t.Helper()
	out, stderr, err := tryFFmpeg(t, args...)
	if err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return out
}

func tryFFmpeg(t *testing.T, args ...string) (stdout, stderr []byte, err error) {
	t.Helper()
	need(t, "ffmpeg")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-hide_banner", "-nostdin", "-loglevel", "warning", "-y"}, args...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	return out.Bytes(), errOut.Bytes(), err
}

// clip makes a file with a moving picture and a sine tone, with B-frames if video asks for them.
func clip(t *testing.T, length time.Duration, video, audio []string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clip.mp4")
	args := []string{}
	if video != nil {
		args = append(args, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25")
	}
	if audio != nil {
		args = append(args, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000")
	}
	args = append(append(args, video...), audio...)
	ffmpeg(t, append(args, "-t", fmt.Sprintf("%.3f", length.Seconds()), file)...)
	return file
}

var (
	x264BFrames = []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "25", "-b:v", "400k"}
	x264Plain   = []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25"}
	x265BFrames = []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "bframes=3:keyint=25:log-level=none"}
	aac64       = []string{"-c:a", "aac", "-b:a", "64k", "-ac", "2"}
	mp3at64     = []string{"-c:a", "libmp3lame", "-b:a", "64k"}
)

// probed is a packet of a file: stream type, PTS and DTS in seconds.
type probed struct {
	video    bool
	pts, dts float64
}

func probe(t *testing.T, file string) (packets []probed) {
	t.Helper()
	need(t, "ffprobe")
	out, err := exec.Command("ffprobe", "-loglevel", "error", "-show_entries", "packet=codec_type,pts_time,dts_time", "-of", "csv=p=0", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		v := strings.Split(line, ",")
		if len(v) < 3 { // side data
			continue
		}
		pts, _ := strconv.ParseFloat(v[1], 64)
		dts, _ := strconv.ParseFloat(v[2], 64)
		packets = append(packets, probed{v[0] == "video", pts, dts})
	}
	return packets
}

// decodedMD5 writes the video units as an Annex B file and returns the MD5s of the decoded frames.
func decodedMD5(t *testing.T, frames []got) []string {
	t.Helper()
	start := []byte{0, 0, 0, 1}
	var b bytes.Buffer
	for _, f := range frames {
		var units [][]byte
		if f.Key {
			units = append(append(append(units, f.Track.VPS...), f.Track.SPS...), f.Track.PPS...)
		}
		for _, u := range append(units, f.Units...) {
			b.Write(start)
			b.Write(u)
		}
	}
	name := filepath.Join(t.TempDir(), "got."+frames[0].Track.Codec.String())
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return frameMD5(t, name)
}

func frameMD5(t *testing.T, file string) (sums []string) {
	t.Helper()
	out := ffmpeg(t, "-i", file, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-")
	for line := range strings.SplitSeq(string(out), "\n") {
		if f := strings.Split(line, ","); len(f) == 6 {
			sums = append(sums, strings.TrimSpace(f[5]))
		}
	}
	return sums
}

// How close the tracks must be to their offset in the source: with sender reports only rounding remains, without them the encoder's
// interleaving.
const (
	exact     = 2 * time.Millisecond
	byArrival = 150 * time.Millisecond
)

// maxUnsent is the most audio frames that FFmpeg packs into one packet.
const maxUnsent = 10

// push sends a file as an encoder does, in real time, and returns the frames and the cause of the end.
func push(t *testing.T, s *running, r *recorder, transport, file string, options ...string) []got {
	t.Helper()
	args := append([]string{"-re", "-i", file, "-c", "copy", "-f", "rtsp", "-rtsp_transport", transport}, options...)
	ffmpeg(t, append(args, "rtsp://"+s.addr+"/live/cam")...)
	if err := r.cause(t); !errors.Is(err, ingest.ErrUnpublished) {
		t.Errorf("cause %v, want %v", err, ingest.ErrUnpublished)
	}
	return r.all()
}

func TestFFmpeg(t *testing.T) {
	for _, c := range []struct {
		name         string
		video, audio []string
		options      []string // of the RTSP muxer
	}{
		{"h264 B-frames and aac", x264BFrames, aac64, nil},
		{"h264 and mp3", x264Plain, mp3at64, nil},
		{"h265 and aac", x265BFrames, aac64, nil},
		{"h264 and latm", x264Plain, aac64, []string{"-rtpflags", "latm"}},
		{"no sender reports", x264Plain, aac64, []string{"-rtpflags", "skip_rtcp"}},
		{"video only", x264BFrames, nil, nil},
		{"audio only", nil, aac64, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := clip(t, scaled(30*time.Second, 3*time.Second), c.video, c.audio)
			for _, transport := range []string{"tcp", "udp"} {
				t.Run(transport, func(t *testing.T) {
					r := newRecorder()
					s := serve(t, r, patient)
					frames := push(t, s, r, transport, file, c.options...)
					within := exact
					if slices.Contains(c.options, "skip_rtcp") {
						within = byArrival
					}
					checkFrames(t, s, file, frames, within)
				})
			}
		})
	}
}

// checkFrames compares what came with the file that was sent.
func checkFrames(t *testing.T, s *running, file string, frames []got, within time.Duration) {
	t.Helper()
	checkOrder(t, frames, 0)
	video, audio := byKind(frames)
	lost := s.Stats.LostPackets.Load()
	t.Logf("%d video and %d audio frames, %d packets lost, %d steps", len(video), len(audio), lost, s.Stats.Steps.Load())
	if lost > 0 {
		return
	}
	var wantVideo, wantAudio []probed
	for _, p := range probe(t, file) {
		if p.video {
			wantVideo = append(wantVideo, p)
		} else {
			wantAudio = append(wantAudio, p)
		}
	}
	// FFmpeg packs several audio frames into one packet, and never sends the packet that it is filling at the end.
	if short := len(wantAudio) - len(audio); short > 0 && short <= maxUnsent {
		wantAudio = wantAudio[:len(audio)]
	}
	if len(video) != len(wantVideo) || len(audio) != len(wantAudio) {
		t.Fatalf("%d video and %d audio frames, want %d and %d", len(video), len(audio), len(wantVideo), len(wantAudio))
	}
	// One offset maps the file's timeline to ours, for both tracks.
	offset := 0.0
	if len(video) > 0 {
		offset = float64(video[0].PTS)/ingest.Clock - wantVideo[0].pts
	} else {
		offset = float64(audio[0].PTS)/ingest.Clock - wantAudio[0].pts
	}
	check := func(kind string, got []got, want []probed) {
		worst := 0.0
		for i := range got {
			d := float64(got[i].PTS)/ingest.Clock - offset - want[i].pts
			worst = max(worst, d, -d)
			d = float64(got[i].DTS)/ingest.Clock - offset - want[i].dts
			worst = max(worst, d, -d)
		}
		t.Logf("%s: time stamps off by at most %.1f ms", kind, worst*1000)
		if worst > within.Seconds() {
			t.Errorf("%s: time stamps off by %.1f ms, want at most %v", kind, worst*1000, within)
		}
	}
	check("video", video, wantVideo)
	check("audio", audio, wantAudio)
	if len(video) > 0 {
		if got, want := decodedMD5(t, video), frameMD5(t, file); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%d decoded frames differ from the %d of the source", len(got), len(want))
		}
	}
}
