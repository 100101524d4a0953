package lowlatency

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

const config = `
hls: {low_latency: true}
apps: {live: {publish: open}}
rtsp: {udp_rtp: "", udp_rtcp: ""}
storage: {url: file://bucket}
spool: {dir: spool}
`

// farBehind is how far behind nobody may be at any time: far more than a low-latency player is, even where the machine has
// more to do than it can and a player that is slow to start stays as far behind as it began, and less than any other is.
const farBehind = 9 * time.Second

// TestPlayersAreCloseToLive has low-latency players watch, and holds by the number in the picture that they are close to live and
// meet no error that ends them; at full length, that they do not stall.
func TestPlayersAreCloseToLive(t *testing.T) {
	if rig.Scale() < 1 {
		t.Parallel() // nothing is measured closely
	}
	rig.Need(t, "ffmpeg")
	b := browser.Start(t, "hls.js", "shaka-player", "video.js", "dashjs")
	watch := 10 * time.Minute
	if rig.Scale() < 1 {
		watch = 8 * time.Second
	}
	p := rig.Serve(t, t.TempDir(), config)
	rig.Push(t, rig.CountedClip(t, 320, 180, watch+2*time.Minute), "rtmp://"+p.RTMP+"/live/cam")
	rig.Eventually(t, 30*time.Second, "the stream is there", func() bool { return p.Status(p.URL("live/streams/cam_ll.m3u8")) == 200 })
	recording := p.RecordingOf("cam")
	begun, ok := segmenter.RecordingID(recording).Time()
	if !ok {
		t.Fatal("no recording")
	}
	rig.Eventually(t, time.Minute, "the stream has gone on for a while", func() bool {
		return strings.Count(rig.TryGet(p.URL("live/streams/cam/"+recording+"/ll.m3u8")), "#EXTINF:") >= 3
	})
	for entry, players := range map[string][]string{"cam_ll.m3u8": {"hls.js", "shaka"}, "cam_cmaf.m3u8": {"hls.js", "shaka", "video.js"}, "cam_ll.mpd": {"dash.js", "shaka"}} {
		if rig.Scale() < 1 { // one of each, and both of TestPlayersGoOn
			players = map[string][]string{"cam_ll.m3u8": {"hls.js"}, "cam_cmaf.m3u8": {"shaka"}, "cam_ll.mpd": {"dash.js"}}[entry]
		}
		t.Run(entry, func(t *testing.T) {
			if strings.HasSuffix(entry, ".mpd") {
				rig.Eventually(t, time.Minute, "parts are foretold", func() bool { return strings.Contains(rig.TryGet(p.URL("live/streams/"+entry)), "<ServiceDescription>") })
			}
			refused := func() float64 { return p.Metric(`hlsorigin_http_requests_total{code="4xx",kind="segment"}`) }
			before := refused()
			var wg sync.WaitGroup
			for _, player := range players {
				wg.Go(func() {
					t.Run(player, func(t *testing.T) { closeToLive(t, b, player, p.URL("live/streams/"+entry), begun, watch) })
				})
			}
			wg.Wait()
			broken := strings.Contains(p.Get(p.URL("live/streams/cam/"+recording+"/ll.m3u8")), "#EXT-X-DISCONTINUITY\n") // the machine did not keep up
			if n := refused() - before; n > 0 && strings.HasSuffix(entry, ".mpd") && !broken {                           // what a manifest foretells comes
				t.Errorf("%v parts that a player asked for were not there", n)
			}
		})
	}
}

func closeToLive(t *testing.T, b *browser.Browser, player, entry string, begun time.Time, watch time.Duration) {
	page, err := b.Play(player, "", true)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	launched, pressed := time.Now(), rig.StartPressure()
	if err := page.Go(entry); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, time.Minute, player+" plays", func() bool {
		s, err := page.Seen()
		return err == nil && s.Started
	})
	startup := time.Since(launched)
	var behind []time.Duration
	for end := time.Now().Add(watch); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		var look struct{ N, Now float64 }
		if err := page.Eval("({N: seen.counter.last, Now: Date.now()})", &look); err != nil {
			t.Fatal(err)
		}
		if look.N > 0 && time.Since(launched) > startup+2*time.Second {
			behind = append(behind, time.UnixMilli(int64(look.Now)).Sub(begun.Add(time.Duration(look.N)*40*time.Millisecond)))
		}
	}
	s, err := page.Seen()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(behind)
	if len(behind) == 0 {
		t.Fatalf("it never showed a picture: %+v", s)
	}
	at := func(q float64) time.Duration {
		return behind[int(q*float64(len(behind)-1))].Round(10 * time.Millisecond)
	}
	t.Logf("%s %s: starts after %v; behind p50 %v, p95 %v, most %v; %d stalls, errors %v", player, s.Version, startup.Round(10*time.Millisecond), at(.5), at(.95), at(1), len(s.Stalls), s.Errors)
	if at(.5) > farBehind+rig.Slack(pressed.Share(), 20*time.Second) || len(s.Fatal) > 0 {
		t.Errorf("it is %v behind; fatal: %v, errors: %v", at(.5), s.Fatal, s.Errors)
	}
	if rig.Scale() < 1 {
		return // what a busy machine does to players says nothing of the server
	}
	for _, stall := range s.Stalls {
		if stall.Ahead < .5 {
			t.Errorf("it stalls for want of data: %+v", stall)
		}
	}
}

// TestOthersPlayTheLowLatencyEntry has players that know nothing of parts play it, and that of CMAF.
func TestOthersPlayTheLowLatencyEntry(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "ffprobe")
	p := rig.Serve(t, t.TempDir(), config)
	rig.Push(t, rig.SourceNamed("b_frames").Clip(t, 2*time.Minute), "rtmp://"+p.RTMP+"/live/cam")
	entry := p.URL("live/streams/cam_ll.m3u8")
	rig.Eventually(t, 30*time.Second, "the stream is there", func() bool { return p.Status(entry) == 200 })
	for _, url := range []string{entry, p.URL("live/streams/cam_cmaf.m3u8")} {
		out, err := exec.Command("ffmpeg", "-v", "error", "-i", url, "-t", "4", "-f", "null", "-").CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("ffmpeg of %s: %v\n%s", url, err, out)
		}
	}
	if _, err := exec.LookPath("gst-launch-1.0"); err == nil {
		// A sink that has enough ends what is live only where it is alone.
		for i, only := range []string{"flags=0x1 video-sink", "flags=0x2 audio-sink"} {
			if i > 0 && rig.Scale() < 1 {
				break
			}
			flags, sink, _ := strings.Cut(only, " ")
			out, err := exec.Command("timeout", "60", "gst-launch-1.0", "-q", "playbin3", flags, "uri="+p.URL("live/streams/cam_cmaf.m3u8"), sink+"=fakesink sync=false num-buffers=60").CombinedOutput()
			if err != nil {
				t.Errorf("GStreamer, %s: %v: %s", only, err, out)
			}
		}
	}
	p.Signal(2, 20*time.Second)
	for _, file := range []string{"cam_ll.m3u8", "cam.m3u8"} {
		body, err := os.ReadFile(filepath.Join(p.Dir, "bucket/live/streams", file))
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := os.ReadFile(filepath.Join(p.Dir, "bucket/live/streams/cam.m3u8")); string(body) != string(want) {
			t.Errorf("%s in the bucket is %s", file, body)
		}
	}
	lists, _ := filepath.Glob(filepath.Join(p.Dir, "bucket/live/streams/cam/*/*.m3u8"))
	if len(lists) != 2 {
		t.Fatalf("in the bucket are %v", lists)
	}
	first, _ := os.ReadFile(lists[0])
	second, _ := os.ReadFile(lists[1])
	if string(first) != string(second) || len(first) == 0 {
		t.Errorf("%s and %s differ", lists[0], lists[1])
	}
}

// TestPartTargetOutlivesKill kills the server while a stream is on the air, and starts it with another setting: the recording goes on
// with the PART-TARGET it had, for that is fixed, and its numbers run on.
func TestPartTargetOutlivesKill(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg")
	const short = `
hls: {low_latency: true, segment_duration: 1s, part_duration: 200ms, window: 10s}
apps: {live: {publish: open}}
rtsp: {udp_rtp: "", udp_rtcp: ""}
storage: {url: file://bucket}
spool: {dir: spool}
`
	p := rig.Serve(t, t.TempDir(), short)
	camera := rig.Shoot(t, p, "cam")
	defer camera.Stop()
	edge := func() string { return p.URL("live/streams/cam/" + p.RecordingOf("cam") + "/ll.m3u8") }
	parts := func(n int) func() bool {
		return func() bool { return strings.Count(rig.TryGet(edge()), "#EXT-X-PART:") >= n }
	}
	rig.Eventually(t, time.Minute, "there are parts", parts(10))
	recording, before := p.RecordingOf("cam"), edge()
	p.Kill()
	config := filepath.Join(p.Dir, "config.yaml")
	if err := os.WriteFile(config, []byte(strings.Replace(short, "200ms", "400ms", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Start()
	rig.Eventually(t, time.Minute, "there are parts again", parts(10))
	if got := p.RecordingOf("cam"); got != recording {
		t.Fatalf("the recording is %s, and was %s", got, recording)
	}
	if body := rig.TryGet(before); !strings.Contains(body, "#EXT-X-PART-INF:PART-TARGET=0.200\n") || !strings.Contains(body, "#EXT-X-DISCONTINUITY\n") {
		t.Errorf("after the restart:\n%s", body)
	}
}
