package reload

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestReloadsDuringAShow changes keys, groups, limits, hooks and everything else that takes effect without a restart, again and again,
// while a ladder of three rungs is live: every picture comes out, in order, every playlist keeps its promises, and nobody is dropped.
func TestReloadsDuringAShow(t *testing.T) {
	rig.Need(t, "ffmpeg")
	count := max(10, int(100*rig.Scale()))
	length := rig.Scaled(150*time.Second, 30*time.Second)
	sizes := map[string][2]int{"show_a": {320, 180}, "show_b": {256, 144}, "show_c": {192, 108}}
	files, rungs := map[string]string{}, []string{"show_a", "show_b", "show_c"}
	for _, stream := range rungs {
		files[stream] = rig.CountedClip(t, sizes[stream][0], sizes[stream][1], length)
	}
	settings := func(n int) string {
		return fmt.Sprintf(`
hls: {segment_duration: %ds, end_grace: 2s, window: %ds, ended_ttl: 5m}
rtsp: {listen: ""}
rtmp: {max_connections: %d, max_connections_per_address: %d}
http: {max_connections: %d, cors_origins: ["https://%d.example"]}
log: {level: %s}
webhooks: [{url: "http://127.0.0.1:1/hook%d", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]
apps:
  live:
    keys: {show_a: key-a, show_b: key-b, show_c: key-c, guest: guest-key-%d, "guest%d": another-key-%d}
    auth: {allow: [127.0.0.0/8, "192.0.2.%d"]}
    groups: {show: [show_a, show_b, show_c], "other%d": [x%d, y%d]}
    audio: %v
    keep: %dd
  "app%d": {hls: {window: 30s}}
`, 2+n%2, 20+n, 200+n, 50+n, 1000+n, n, []string{"info", "debug"}[n%2], n, n, n, n, n%200, n, n, n, n%3 == 1, 30+n, n%4)
	}
	p := rig.Serve(t, t.TempDir(), settings(0))
	var viewers []*rig.Viewer
	var stops []func()
	// One encoder sends all rungs, in step, as encoders do.
	args, outputs := []string{"-v", "warning"}, []string{}
	for i, stream := range rungs {
		v, stop := rig.Watch(t, p.URL("live/streams/"+stream+".m3u8"))
		viewers, stops = append(viewers, v), append(stops, stop)
		args = append(args, "-re", "-i", files[stream])
		outputs = append(outputs, "-map", fmt.Sprint(i), "-c", "copy", "-f", "flv", "rtmp://"+p.RTMP+"/live/"+strings.Replace(stream, "show_", "key-", 1))
	}
	encoder := rig.Launch(t, "ffmpeg", append(args, outputs...)...)
	rig.Eventually(t, 30*time.Second, "all rungs are playable", func() bool {
		for _, v := range viewers {
			if v.Count() == 0 {
				return false
			}
		}
		return true
	})
	lost := dropped(p) // audio from before the first picture
	began, pressed := time.Now(), rig.StartPressure()
	pause := max(0, (length-18*time.Second)/time.Duration(count))
	for n := 1; n <= count; n++ {
		reload(t, p, settings(n), done)
		for time.Since(began) < time.Duration(n)*pause {
			time.Sleep(10 * time.Millisecond) // the encoders' time, which no test can advance
		}
	}
	t.Logf("%d reloads in %v", count, time.Since(began).Round(time.Millisecond))
	if n := p.Metric(refused); n != 0 {
		t.Errorf("%v reloads were refused", n)
	}
	select {
	case <-encoder.Done:
		t.Errorf("the encoder had ended before: %v\n%s", encoder.Err, encoder.Out)
	default:
	}
	if err := encoder.Wait(length + 30*time.Second); err != nil {
		t.Errorf("the encoder ended with %v:\n%s", err, encoder.Out)
	}
	for _, v := range viewers {
		rig.Eventually(t, 20*time.Second, "the show ends", func() bool {
			v.Mu.Lock()
			defer v.Mu.Unlock()
			return v.Ended
		})
	}
	for i, v := range viewers {
		stops[i]()
		v.Again()
		v.Good()
		if limit := time.Duration(v.Target)*1500*time.Millisecond + time.Second + rig.Slack(pressed.Share(), 4*time.Second); v.Cadence > limit {
			t.Errorf("waited %v for a segment, target duration %d s", v.Cadence, v.Target)
		}
	}
	if now := dropped(p); now != lost {
		t.Errorf("frames were dropped:\n%s\nbefore:\n%s", now, lost)
	}
	p.Signal(syscall.SIGINT, 20*time.Second)
	// The bucket has what the encoders sent, picture by picture.
	var wg sync.WaitGroup
	for i, v := range viewers {
		stream := rungs[i]
		wg.Go(func() {
			playlist := filepath.Join(p.Dir, "data", "bucket", "live", "streams", stream+"-"+v.Recording+".m3u8")
			want, got := rig.Frames(t, files[stream]), rig.Frames(t, playlist)
			if strings.Join(want, "\n") != strings.Join(got, "\n") {
				t.Errorf("%s: %d pictures came out of %d, or others", stream, len(got), len(want))
			}
			t.Logf("%s: %d of %d pictures", stream, len(got), len(want))
		})
	}
	wg.Wait()
}

// dropped returns the counters of unusable frames that are not zero.
func dropped(p *rig.Process) string {
	var all []string
	for line := range strings.SplitSeq(p.Get("http://"+p.Admin+"/metrics"), "\n") {
		if strings.HasPrefix(line, "hlsorigin_ingest_frames_dropped_total") && !strings.HasSuffix(line, " 0") {
			all = append(all, line)
		}
	}
	return strings.Join(all, "\n")
}
