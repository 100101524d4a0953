//go:build linux

package publish

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Quality is a kind of clip that can be recorded.
type Quality struct {
	Name    string
	Size    string // "1920x1080"
	Kilobit int    // of video each second
	Audio   int    // kilobit each second
}

// The clips of the benchmark: what a studio sends, what a phone sends, what a camera on a thin line sends.
var (
	Studio = Quality{"studio", "1920x1080", 6000, 128}
	Phone  = Quality{"phone", "640x360", 900, 96}
	Camera = Quality{"camera", "426x240", 236, 64}
)

// The recording: 8 s are 240 pictures and, at 48 kHz, 375 AAC frames, so rounds follow one another without a seam.
const (
	rate   = 30
	gop    = 2 * rate
	Period = 8 * time.Second
)

// Record returns the clip of a quality: H.264 with B-frames, a keyframe every 2 s, and AAC. ffmpeg makes it once; it is then kept in dir.
func Record(ctx context.Context, dir string, q Quality) (*Clip, error) {
	path := filepath.Join(dir, fmt.Sprintf("%s-%s-%dk-%dk.flv", q.Name, q.Size, q.Kilobit, q.Audio))
	if _, err := os.Stat(path); err == nil {
		return ReadClip(path, Period)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("record clip: %w", err)
	}
	part := path + ".part.flv"
	defer func() { _ = os.Remove(part) }()
	kilo := func(n int) string { return strconv.Itoa(n) + "k" }
	// Noise on the test picture keeps the encoder at its bit rate.
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-y",
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%s:rate=%d,noise=alls=12:allf=t", q.Size, rate),
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", strconv.Itoa(int((Period + time.Second).Seconds())),
		"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-bf", "2", "-b_strategy", "0",
		"-g", strconv.Itoa(gop), "-keyint_min", strconv.Itoa(gop), "-sc_threshold", "0",
		"-b:v", kilo(q.Kilobit), "-minrate", kilo(q.Kilobit), "-maxrate", kilo(q.Kilobit), "-bufsize", kilo(q.Kilobit),
		"-c:a", "aac", "-b:a", kilo(q.Audio), "-ac", "2", "-f", "flv", part)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("record clip with ffmpeg: %w: %s", err, out)
	}
	if err := os.Rename(part, path); err != nil {
		return nil, fmt.Errorf("record clip: %w", err)
	}
	return ReadClip(path, Period)
}
