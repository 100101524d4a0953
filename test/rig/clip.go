package rig

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// CountedClip returns the path of an MP4 file, made once, in which each picture carries its number in its top row, as page.js reads it. It
// has 25 pictures a second, a GOP of two seconds and no B-frames, so that it can be joined at each keyframe.
func CountedClip(t *testing.T, width, height int, length time.Duration) string {
	t.Helper()
	path, err := Program()
	if err != nil {
		t.Fatal(err)
	}
	clipsMu.Lock()
	defer clipsMu.Unlock()
	key := fmt.Sprintf("counted-%dx%d-%d.mp4", width, height, int(length.Seconds()))
	if file := clips[key]; file != "" {
		return file
	}
	file := filepath.Join(filepath.Dir(path), key)
	args := []string{"-v", "error", "-y", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=%dx%d:r=25", width, height),
		"-f", "lavfi", "-i", fmt.Sprintf("color=black:s=16x2:r=25,format=yuv420p,geq=lum='16+219*mod(floor(N/pow(2,X)),2)':cb=128:cr=128,scale=%d:%d:flags=neighbor", width, width/16),
		"-f", "lavfi", "-i", "sine=440:b=1:r=48000", "-filter_complex", "[0][1]overlay=shortest=1,format=yuv420p[v]", "-map", "[v]", "-map", "2",
		"-t", fmt.Sprint(length.Seconds()), "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-bf", "0",
		"-c:a", "aac", "-b:a", "64k", file}
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
	clips[key] = file
	return file
}

// Source is a clip that ffmpeg makes once for all tests.
type Source struct {
	Name  string
	Video string // ffmpeg's video options; empty: none
	Audio string // ffmpeg's audio options; empty: none
	GOP   time.Duration
}

// Sources are typical encoders.
var Sources = []Source{
	{"plain", "-c:v libx264 -preset ultrafast -g 50 -keyint_min 50 -sc_threshold 0 -bf 0", "-c:a aac -b:a 96k", 2 * time.Second},
	{"b_frames", "-c:v libx264 -preset veryfast -g 50 -keyint_min 50 -sc_threshold 0 -bf 3", "-c:a aac -b:a 96k", 2 * time.Second},
	{"gop_1s", "-c:v libx264 -preset veryfast -g 25 -keyint_min 25 -sc_threshold 0 -bf 2", "-c:a aac -b:a 96k", time.Second},
	{"gop_8s", "-c:v libx264 -preset veryfast -g 200 -keyint_min 200 -sc_threshold 0 -bf 2", "-c:a aac -b:a 96k", 8 * time.Second},
	{"irregular", "-c:v libx264 -preset veryfast -g 250 -bf 2 -force_key_frames expr:not(mod(n,37))*not(mod(n,3))+not(mod(n,100))", "-c:a aac -b:a 96k", 5 * time.Second},
	{"video_only", "-c:v libx264 -preset veryfast -g 50 -keyint_min 50 -sc_threshold 0 -bf 2", "", 2 * time.Second},
	{"audio_only", "", "-c:a aac -b:a 96k", 0},
	{"mp3", "-c:v libx264 -preset veryfast -g 50 -keyint_min 50 -sc_threshold 0 -bf 2", "-c:a libmp3lame -b:a 96k", 2 * time.Second},
}

// SourceNamed returns one of Sources.
func SourceNamed(name string) Source {
	for _, s := range Sources {
		if s.Name == name {
			return s
		}
	}
	panic("no source " + name)
}

var (
	clipsMu sync.Mutex
	clips   = map[string]string{}
)

// Clip returns the path of a source's FLV file of some length.
func (s Source) Clip(t *testing.T, length time.Duration) string {
	t.Helper()
	path, err := Program()
	if err != nil {
		t.Fatal(err)
	}
	clipsMu.Lock()
	defer clipsMu.Unlock()
	key := fmt.Sprintf("%s-%d", s.Name, int(length.Seconds()))
	if file := clips[key]; file != "" {
		return file
	}
	file := filepath.Join(filepath.Dir(path), key+".flv")
	args := []string{"-v", "error", "-y"}
	if s.Video != "" {
		args = append(args, "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25")
	}
	if s.Audio != "" {
		args = append(args, "-f", "lavfi", "-i", "sine=440:b=1:r=44100")
	}
	args = append(args, "-t", fmt.Sprint(length.Seconds()))
	args = append(args, strings.Fields(s.Video+" "+s.Audio)...)
	args = append(args, "-f", "flv", file)
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
	clips[key] = file
	return file
}

// Push publishes a file in real time and returns the running encoder.
func Push(t *testing.T, file, url string) *Tool {
	t.Helper()
	args := []string{"-v", "warning", "-re", "-i", file, "-c", "copy"}
	switch {
	case strings.HasPrefix(url, "rtmp://"):
		args = append(args, "-f", "flv", url)
	case strings.HasSuffix(url, "#udp"):
		args = append(args, "-f", "rtsp", "-rtsp_transport", "udp", strings.TrimSuffix(url, "#udp"))
	default:
		args = append(args, "-f", "rtsp", "-rtsp_transport", "tcp", url)
	}
	return Launch(t, "ffmpeg", args...)
}

// Frames returns the checksums of a file's decoded pictures, one a line, and the number of its audio frames.
func Frames(t *testing.T, file string) (pictures []string) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-xerror", "-i", file, "-map", "0:v", "-f", "framemd5", "-").Output()
	if err != nil {
		t.Fatalf("ffmpeg cannot decode %s: %v", file, err)
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if f := strings.Split(line, ","); len(f) == 6 && !strings.HasPrefix(line, "#") {
			pictures = append(pictures, strings.TrimSpace(f[5]))
		}
	}
	return pictures
}

// Decodes fails the test if ffmpeg finds any error in a file.
func Decodes(t *testing.T, file string) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-xerror", "-i", file, "-f", "null", "-").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("ffmpeg -xerror %s: %v\n%s", file, err, out)
	}
}
