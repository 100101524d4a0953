package players

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// ffmpeg reads and decodes in real time.
type ffmpeg struct {
	meter
	*tool

	mu     sync.Mutex
	frames int
	at     time.Duration
}

func watchFFmpeg(t *testing.T, src string) watcher {
	t.Helper()
	x := &ffmpeg{}
	x.launch = time.Now()
	x.tool = start(t, exec.Command("ffmpeg", "-nostdin", "-v", "warning", "-re", "-i", src, "-progress", "pipe:1", "-stats_period", "0.2", "-f", "null", "-"), x.hear)
	t.Cleanup(x.stop)
	return x
}

// hear parses the lines of ffmpeg's progress. It does not distinguish the times of video and audio.
func (x *ffmpeg) hear(line string) bool {
	name, value, ok := strings.Cut(line, "=")
	if !ok || strings.Contains(name, " ") {
		return false
	}
	n, err := strconv.Atoi(value)
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case name == "frame" && err == nil:
		x.frames = n
	case name == "out_time_us" && err == nil:
		x.at = time.Duration(n) * time.Microsecond
		x.saw(time.Now(), x.frames, max(0, n))
	}
	return true
}

func (x *ffmpeg) look() result {
	ended := x.ended()
	r := x.meter.result("ffmpeg", time.Now(), !ended)
	x.mu.Lock()
	defer x.mu.Unlock()
	r.At, r.Ended, r.Mute = x.at, ended && x.err == nil, 0
	if ended && x.err != nil {
		r.Fatal = []string{x.err.Error()}
	}
	if n := len(x.out.lines()); n > 0 {
		r.Notes = fmt.Sprintf("%d lines of warnings", n)
	}
	return r
}

func (x *ffmpeg) stop() { x.kill() }

func TestHearFFmpeg(t *testing.T) {
	x := &ffmpeg{}
	for _, line := range []string{"frame=0", "out_time_us=N/A", "frame=12", "out_time_us=480000", "progress=continue"} {
		if !x.hear(line) {
			t.Errorf("%q is kept", line)
		}
	}
	if x.hear("[hls @ 0x55] skipping 3 segments ahead, expired from playlists") {
		t.Error("a warning is lost")
	}
	if r := x.meter.result("ffmpeg", time.Now(), true); r.Frames != 12 || x.at != 480*time.Millisecond {
		t.Errorf("%v at %v", r, x.at)
	}
}
