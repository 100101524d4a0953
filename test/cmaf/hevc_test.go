package cmaf

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// dissect has mp4box take a file apart: what tracks there are, and how many samples.
const dissect = `
const { createFile } = require(process.argv[1] + "/mp4box/dist/mp4box.all.cjs");
const data = require("fs").readFileSync(process.argv[2]), file = createFile();
let codec = "", width = 0, samples = 0, sync = 0;
file.onError = (e) => { throw new Error(e); };
file.onReady = ({ tracks }) => {
  codec = tracks[0].codec, width = tracks[0].video.width;
  file.setExtractionOptions(tracks[0].id, null, { nbSamples: 1000 });
  file.start();
};
file.onSamples = (id, user, all) => all.forEach((s) => { samples++, sync += s.is_sync; });
const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
buffer.fileStart = 0;
file.appendBuffer(buffer);
file.flush();
console.log(JSON.stringify({ codec, width, samples, sync }));
`

// TestHEVCIsHvc1 publishes H.265: CMAF of it is hvc1, whose parameter sets are in the init segment alone, as Apple's players want it. ffmpeg and
// GStreamer play it, and mp4box reads in it what the entry says. Browsers are not asked: Chromium as Debian builds it has no decoder.
func TestHEVCIsHvc1(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "ffprobe")
	clip := filepath.Join(t.TempDir(), "hevc.mp4")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-f", "lavfi", "-i", "sine=440:b=1:r=44100", "-t", "12",
		"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25:min-keyint=25:scenecut=0:open-gop=0", "-c:a", "aac", clip).CombinedOutput(); err != nil {
		t.Skipf("an ffmpeg with libx265 is needed: %v\n%s", err, out)
	}
	p := rig.Serve(t, t.TempDir(), strings.Replace(config, "segment_duration: 2s", "segment_duration: 1s", 1))
	rig.Push(t, clip, "rtsp://"+p.RTSP+"/live/cam")
	entry := p.URL("live/streams/cam_cmaf.m3u8")
	var list *m3u8.Media
	track := ""
	rig.Eventually(t, time.Minute, "the stream is there", func() bool {
		if p.Status(entry) != 200 {
			return false
		}
		track = "live/streams/cam/" + p.RecordingOf("cam") + "/v/"
		var err error
		list, err = m3u8.ParseMedia([]byte(rig.TryGet(p.URL(track + "live.m3u8"))))
		return err == nil && len(list.Segments) >= 4
	})
	m, err := m3u8.ParseMaster([]byte(p.Get(entry)))
	if err != nil || len(m.Variants) != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	said, _, _ := strings.Cut(m.Variants[0].Codecs, ",")
	body := p.Get(p.URL(track + list.Segments[0].Map))
	for _, s := range list.Segments[:2] {
		body += p.Get(p.URL(track + s.URI))
	}
	file := filepath.Join(t.TempDir(), "v.mp4")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) string {
		t.Helper()
		var told bytes.Buffer
		cmd := exec.Command(name, args...)
		cmd.Stderr = &told
		out, err := cmd.Output()
		if err != nil || told.Len() > 0 {
			t.Errorf("%s: %v: %s", name, err, told.Bytes())
		}
		return string(out)
	}
	if got := run("ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,codec_tag_string,width,nb_read_frames", "-of", "csv=p=0", file); got != "hevc,hvc1,320,50\n" || !strings.HasPrefix(said, "hvc1.") {
		t.Errorf("ffprobe says %q, the entry %s", got, said)
	}
	t.Run("mp4box", func(t *testing.T) {
		dir, missing := browser.Modules("mp4box")
		if missing != "" {
			t.Skip(missing)
		}
		var got struct {
			Codec                string
			Width, Samples, Sync int
		}
		if text := run("node", "-e", dissect, dir, file); json.Unmarshal([]byte(text), &got) != nil || got.Codec != said || got.Width != 320 || got.Samples != 50 || got.Sync != 2 {
			t.Errorf("mp4box reads %+v, the entry says %s", got, said)
		}
	})
	t.Run("ffmpeg", func(t *testing.T) {
		if n := strings.Count(run("ffmpeg", "-nostdin", "-v", "error", "-i", entry, "-map", "0:v", "-t", "2", "-f", "framecrc", "-"), "\n0,"); n < 45 {
			t.Errorf("%d pictures", n)
		}
	})
	t.Run("GStreamer", func(t *testing.T) {
		rig.Need(t, "gst-launch-1.0")
		if out, err := exec.Command("timeout", "60", "gst-launch-1.0", "-q", "playbin3", "flags=0x1", "uri="+entry, "video-sink=fakesink sync=false num-buffers=40").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}
