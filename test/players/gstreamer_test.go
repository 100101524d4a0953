package players

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// gstreamer is GStreamer's playbin3 with its newer HLS demuxer; its sinks report each picture and each piece of audio.
type gstreamer struct {
	meter
	*tool

	mu               sync.Mutex
	pictures, sounds int
	at               time.Duration
	eos              bool
	fatal            []string
}

func watchGStreamer(t *testing.T, src string) watcher {
	t.Helper()
	cmd := exec.Command("gst-launch-1.0", "-v", "playbin3", "uri="+src, "video-sink=fakesink name=picture sync=true silent=false", "audio-sink=fakesink name=sound sync=true silent=false")
	cmd.Env = append(os.Environ(), "GST_PLUGIN_FEATURE_RANK=hlsdemux2:MAX,hlsdemux:NONE")
	x := &gstreamer{}
	x.launch = time.Now()
	x.tool = start(t, cmd, x.hear)
	t.Cleanup(x.stop)
	return x
}

var gstChain = regexp.MustCompile(`last-message = chain +\*+ \((picture|sound):sink\) .* pts: (\d+):(\d+):(\d+\.\d+)`)

// hear parses the output of the sinks.
func (x *gstreamer) hear(line string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m := gstChain.FindStringSubmatch(line); m != nil {
		if m[1] == "picture" {
			x.pictures++
		} else {
			x.sounds++
		}
		if at, err := time.ParseDuration(m[2] + "h" + m[3] + "m" + m[4] + "s"); err == nil {
			x.at = at
		}
		x.saw(time.Now(), x.pictures, x.sounds)
		return true
	}
	switch {
	case strings.HasPrefix(line, "ERROR"):
		x.fatal = append(x.fatal, line)
	case strings.HasPrefix(line, "Got EOS"):
		x.eos = true
	}
	return strings.Contains(line, "last-message =") || strings.Contains(line, "Redistribute latency")
}

func (x *gstreamer) look() result {
	ended := x.ended()
	r := x.meter.result("hlsdemux2", time.Now(), !ended)
	x.mu.Lock()
	defer x.mu.Unlock()
	r.At, r.Ended, r.Fatal = x.at, x.eos, x.fatal
	if ended && !x.eos && len(x.fatal) == 0 {
		r.Fatal = []string{"it ended without a word"}
	}
	return r
}

func (x *gstreamer) stop() { x.kill() }

func TestHearGStreamer(t *testing.T) {
	x := &gstreamer{}
	const at = "/GstPlayBin3:playbin3-0/GstPlaySink:playsink/GstBin:vbin/GstFakeSink:"
	for line, taken := range map[string]bool{
		at + "picture: last-message = chain   ******* (picture:sink) (86400 bytes, dts: none, pts: 0:01:01.433333333, duration: 0:00:00.033333333, offset: -1)": true,
		at + "picture: last-message = event   ******* (picture:sink) E (type: segment (17934)":                                                                  true,
		"ERROR: from element /GstPlayBin3:playbin3-0: Internal data stream error.":                                                                              false,
		"Got EOS from element \"playbin3-0\".": false,
	} {
		if x.hear(line) != taken {
			t.Errorf("%q is taken: %v", line, !taken)
		}
	}
	if x.pictures != 1 || x.sounds != 0 || x.at.Round(time.Millisecond) != 61433*time.Millisecond || !x.eos || len(x.fatal) != 1 {
		t.Errorf("%d pictures, %d sounds, at %v, %v %v", x.pictures, x.sounds, x.at, x.eos, x.fatal)
	}
}
