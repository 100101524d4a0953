package cmaf

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

const config = `
hls: {segment_duration: 2s}
apps: {live: {publish: open}}
rtsp: {udp_rtp: "", udp_rtcp: ""}
storage: {url: file://bucket}
spool: {dir: spool}
`

// onAir is a stream that has been on the air for some segments.
func onAir(t *testing.T, watch time.Duration) *rig.Process {
	t.Helper()
	rig.Need(t, "ffmpeg")
	p := rig.Serve(t, t.TempDir(), config)
	rig.Push(t, rig.CountedClip(t, 320, 180, watch), "rtmp://"+p.RTMP+"/live/cam")
	entry := p.URL("live/streams/cam_cmaf.m3u8")
	rig.Eventually(t, time.Minute, "the stream is there", func() bool {
		return p.Status(entry) == 200 && strings.Count(p.Get(p.URL("live/streams/cam/"+p.RecordingOf("cam")+"/v/live.m3u8")), ".m4s") >= 4
	})
	return p
}

// TestBrowserPlayers has the players of browsers play the live edge, with picture and sound, of both entries, and meet no error
// that ends them; and the recording from its beginning.
func TestBrowserPlayers(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg")
	b := browser.Start(t, "hls.js", "shaka-player", "video.js", "dashjs")
	watch := rig.Scaled(time.Minute, 6*time.Second)
	p := onAir(t, 5*time.Minute+10*watch)
	id := p.RecordingOf("cam")
	all := []struct{ player, path string }{
		{"hls.js", "cam_cmaf.m3u8"}, {"shaka", "cam.mpd"}, {"dash.js", "cam-" + id + ".mpd"}, {"video.js", "cam_cmaf.m3u8"},
		{"shaka", "cam_cmaf.m3u8"}, {"dash.js", "cam.mpd"}, {"hls.js", "cam-" + id + "_cmaf.m3u8"},
	}
	if rig.Scale() < 1 {
		all = all[:3]
	}
	for _, c := range all {
		t.Run(c.player+" "+strings.ReplaceAll(c.path, id, "RECORDING"), func(t *testing.T) {
			page, err := b.Play(c.player, "", true)
			if err != nil {
				t.Fatal(err)
			}
			defer page.Close()
			launched := time.Now()
			if err := page.Go(p.URL("live/streams/" + c.path)); err != nil {
				t.Fatal(err)
			}
			var s browser.Seen
			rig.Eventually(t, time.Minute+2*watch, c.player+" plays", func() bool {
				s, err = page.Seen()
				return err == nil && (s.Played >= watch.Seconds() || len(s.Fatal) > 0)
			})
			t.Logf("%s %s: %.1f s after %v; %d stalls, %d holes, errors %v", c.player, s.Version, s.Played, time.Since(launched).Round(100*time.Millisecond), len(s.Stalls), len(s.Holes), s.Errors)
			if len(s.Fatal) > 0 || s.Frames == 0 || s.Sound == 0 || s.Width != 320 || len(s.Counter.Back) > 0 || len(s.Holes) > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestOtherPlayers has ffmpeg and GStreamer play both entries.
func TestOtherPlayers(t *testing.T) {
	t.Parallel()
	p := onAir(t, 4*time.Minute)
	for _, path := range []string{"cam_cmaf.m3u8", "cam.mpd"} {
		url := p.URL("live/streams/" + path)
		t.Run("ffmpeg "+filepath.Ext(path), func(t *testing.T) {
			var said bytes.Buffer
			cmd := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", url, "-map", "0:v", "-map", "0:a", "-t", "4", "-f", "framecrc", "-")
			cmd.Stderr = &said
			out, err := cmd.Output()
			if n := bytes.Count(out, []byte("\n0,")); err != nil || n < 90 {
				t.Errorf("%v, %d pictures: %s", err, n, said.Bytes())
			}
		})
		t.Run("GStreamer "+filepath.Ext(path), func(t *testing.T) {
			rig.Need(t, "gst-launch-1.0")
			if rig.Scale() < 1 && path == "cam.mpd" {
				t.Skip("tried by `make soak`: dashdemux takes half a minute for 60 pictures")
			}
			// A sink that has enough ends what is live only where it is alone. dashdemux does not play sound alone.
			for _, only := range []string{"flags=0x1 video-sink", "flags=0x2 audio-sink"}[:1+strings.Count(path, ".m3u8")] {
				flags, sink, _ := strings.Cut(only, " ")
				out, err := exec.Command("timeout", "60", "gst-launch-1.0", "-q", "playbin3", flags, "uri="+url, sink+"=fakesink sync=false num-buffers=60").CombinedOutput()
				if err != nil {
					t.Errorf("%s: %v: %s", only, err, out)
				}
			}
		})
	}
}
