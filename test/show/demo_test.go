package show

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// demo starts `hlsorigin -demo` in its own directory, on its own ports.
func demo(t *testing.T, dir string) *rig.Process {
	t.Helper()
	p := &rig.Process{T: t, Dir: dir, Args: []string{"-demo"}, HTTP: rig.FreeAddress(t), Admin: rig.FreeAddress(t), RTMP: rig.FreeAddress(t), RTSP: rig.FreeAddress(t)}
	p.Env = append(os.Environ(), "HLSORIGIN_HTTP_LISTEN="+p.HTTP, "HLSORIGIN_ADMIN_LISTEN="+p.Admin, "HLSORIGIN_RTMP_LISTEN="+p.RTMP,
		"HLSORIGIN_RTSP_LISTEN="+p.RTSP, "HLSORIGIN_RTSP_UDP_RTP=", "HLSORIGIN_RTSP_UDP_RTCP=", "HLSORIGIN_ADMIN_HLS_JS_URL="+hlsJS(t), "HLSORIGIN_ADMIN_HLS_JS_INTEGRITY=")
	p.Start()
	t.Cleanup(func() { p.Kill() })
	return p
}

// hlsJS serves the hls.js that tests play with, and returns its address: the page's default is on the internet.
func hlsJS(t *testing.T) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		w.Header().Set("Access-Control-Allow-Origin", "*") // as a CDN for scripts
		http.ServeFile(w, r, filepath.Join(os.Getenv("HLSORIGIN_TEST_NODE_MODULES"), "hls.js", "dist", "hls.min.js"))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/hls.min.js"
}

// TestDemo is a newcomer's first minute: the demo runs, every player plays it without a stall, and Ctrl-C leaves a finished recording in
// the bucket that plays without a server.
func TestDemo(t *testing.T) {
	rig.Need(t, "ffmpeg", "ffprobe")
	length := rig.Scaled(60*time.Second, 15*time.Second)
	dir := t.TempDir()
	p := demo(t, dir)
	entry := p.URL("live/streams/demo.m3u8")
	live := demoPlaylist(t, p)

	var wg sync.WaitGroup
	wg.Go(func() { t.Run("ffmpeg", func(t *testing.T) { ffmpegPlays(t, entry, length) }) })
	for _, playbin := range []string{"playbin", "playbin3"} { // hlsdemux and hlsdemux2
		wg.Go(func() {
			t.Run("gstreamer/"+playbin, func(t *testing.T) {
				rig.Need(t, "gst-launch-1.0")
				gstPlays(t, playbin, entry, length)
			})
		})
	}
	wg.Go(func() { t.Run("chromium", func(t *testing.T) { demoInBrowser(t, p, entry, length) }) })
	wg.Wait()
	if t.Failed() {
		return
	}

	if took := p.Signal(syscall.SIGINT, 20*time.Second); took > 5*time.Second {
		t.Errorf("Ctrl-C took %v", took)
	} else {
		t.Logf("Ctrl-C took %v", took.Round(time.Millisecond))
	}
	if p.Err != nil {
		t.Errorf("the demo ends with %v", p.Err)
	}
	inTheBucket(t, filepath.Join(dir, "data", "bucket"), live)
}

// demoPlaylist waits until a player can join without running dry at once, and returns the live playlist's path in the bucket.
func demoPlaylist(t *testing.T, p *rig.Process) (path string) {
	t.Helper()
	path = "live/streams/" + livePath(t, p, "live/streams/demo.m3u8")
	joinable(t, p.URL(path))
	return path
}

// inTheBucket checks what the demo left: final playlists, and a recording that plays from its files alone.
func inTheBucket(t *testing.T, bucket, live string) {
	t.Helper()
	recording := filepath.Base(filepath.Dir(live))
	archive := "live/streams/demo-" + recording + ".m3u8"
	for file, want := range map[string][]string{
		live:                     {"#EXT-X-ENDLIST"},
		archive:                  {"#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-ENDLIST"},
		"live/streams/demo.m3u8": {"demo/" + recording + "/live.m3u8"},
	} {
		body, err := os.ReadFile(filepath.Join(bucket, file))
		if err != nil {
			t.Error(err)
		}
		for _, w := range want {
			if !bytes.Contains(body, []byte(w)) {
				t.Errorf("%s in the bucket has no %s:\n%s", file, w, body)
			}
		}
	}
	for _, file := range []string{archive, live} {
		rig.Decodes(t, filepath.Join(bucket, file))
	}
	// 600 pictures that repeat without a seam: none is missing and none is there twice.
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=dts", "-of", "csv=p=0", filepath.Join(bucket, archive)).Output()
	if err != nil {
		t.Fatalf("ffprobe: %v", err)
	}
	last, n := int64(-1), 0
	for field := range strings.FieldsSeq(strings.ReplaceAll(string(out), ",", " ")) {
		dts := atoi64(t, field)
		if last >= 0 && dts-last != 3600 {
			t.Errorf("picture %d follows after %d ticks, a frame lasts 3600", n, dts-last)
		}
		last, n = dts, n+1
	}
	t.Logf("the recording has %d pictures", n)
}

// demoInBrowser plays the demo with hls.js on our test's page, and on the page at the admin address.
func demoInBrowser(t *testing.T, p *rig.Process, entry string, length time.Duration) {
	b := launchBrowser(t, "hls.js")
	player := b.play("hls.js", entry, false)
	player.started(30 * time.Second)
	page := b.open("the admin page", "http://"+p.Admin+"/?player=hls.js", false)
	rig.Eventually(t, 30*time.Second, "the admin page plays", func() bool {
		var at float64
		page.eval("document.getElementById('video').currentTime", &at)
		return at > 1
	})
	var before, after struct {
		Time        float64
		Engine, Bad string
		Listed      int
	}
	look := `({time: document.getElementById("video").currentTime, engine: document.getElementById("engine").textContent, bad: document.getElementById("notice").textContent, listed: document.querySelectorAll("#streams button").length})`
	page.eval(look, &before)

	began := player.seen()
	s := player.reaches(began.Time+length.Seconds(), 2*length+20*time.Second)
	player.smooth(s)
	player.shot("player")
	t.Logf("hls.js %s: %.1f s played, %d segments, errors %v", s.Version, s.Time-began.Time, len(s.Fragments), s.Errors)

	page.eval(look, &after)
	if after.Time < before.Time+length.Seconds()*0.8 || after.Bad != "" || after.Listed != 1 || !strings.Contains(after.Engine, "hls.js") {
		t.Errorf("the admin page: %+v after %+v", after, before)
	}
	page.shot("admin-light")
	if os.Getenv("HLSORIGIN_TEST_SHOTS") != "" {
		dark := b.open("the admin page in the dark", "http://"+p.Admin+"/", true)
		rig.Eventually(t, 20*time.Second, "the admin page plays in the dark", func() bool {
			var at float64
			dark.eval("document.getElementById('video').currentTime", &at)
			return at > 1
		})
		dark.shot("admin-dark")
	}
}
