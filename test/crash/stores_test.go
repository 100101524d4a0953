package crash

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/s3"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestStoreDiesAndReturns kills stores in common use under a live stream, for ever longer. Each time the backlog is uploaded within seconds
// of the store's first good answer, and in the end the bucket has every byte.
func TestStoreDiesAndReturns(t *testing.T) {
	rig.Need(t, "ffmpeg")
	for _, program := range storetest.Programs() {
		t.Run(program.Name, func(t *testing.T) {
			if program.Forgets != "" {
				t.Skip(program.Forgets)
			}
			dir, addr := t.TempDir(), rig.FreeAddress(t)
			at := program.Start(t, dir, addr)
			store, err := s3.Open(t.Context(), s3.Options{
				Bucket: at.Bucket, Prefix: "archive", Endpoint: at.Endpoint, PathStyle: true, AccessKey: at.AccessKey, SecretKey: at.SecretKey,
			})
			if err != nil {
				t.Fatal(err)
			}
			_, plain := program.Lacks["attributes"]
			v := &rig.Vault{T: t, At: at, Store: store, Plain: plain}
			p := rig.Serve(t, t.TempDir(), rig.Brisk+fmt.Sprintf("storage: {url: \"s3://%s/archive\", endpoint: %q, region: us-east-1, path_style: true, access_key: %s, secret_key: %s}\n",
				at.Bucket, at.Endpoint, at.AccessKey, at.SecretKey))
			w, stop := rig.Watch(t, p.URL("live/streams/cam.m3u8"))
			defer stop()
			c := rig.Shoot(t, p, "cam")
			const backlog, sent = `hlsorigin_upload_backlog_segments{target="bucket"}`, `hlsorigin_upload_segments_total{target="bucket"}`
			rig.Eventually(t, 30*time.Second, "something is in the bucket", func() bool { return p.Metric(sent) >= 3 })
			time.Sleep(rig.Scaled(time.Minute, 3*time.Second))
			for _, away := range []time.Duration{20 * time.Second, 45 * time.Second, 75 * time.Second, 100 * time.Second} {
				away = rig.Scaled(away, 4*time.Second)
				at.Stop()
				time.Sleep(away)
				before, behind := p.Metric(sent), p.Metric(backlog)
				at = program.Start(t, dir, addr)
				back, pressed := time.Now(), rig.StartPressure()
				rig.Eventually(t, time.Minute, "an upload succeeds again", func() bool { return p.Metric(sent) > before })
				first := time.Now()
				rig.Eventually(t, time.Minute, "the backlog is up", func() bool { return p.Metric(backlog) <= 1 })
				t.Logf("away for %v, %.0f segments behind: noticed after %v, drained %v later", away, behind,
					first.Sub(back).Round(10*time.Millisecond), time.Since(first).Round(10*time.Millisecond))
				limit := 5*time.Second + rig.Slack(pressed.Share(), 5*time.Second)
				if d := first.Sub(back); d > limit {
					t.Errorf("away for %v: %v before the first upload", away, d)
				}
				if d := time.Since(first); d > limit {
					t.Errorf("away for %v: drained in %v", away, d)
				}
			}
			recording := p.RecordingOf("cam")
			c.Stop()
			v.WaitFinished("cam", recording, time.Minute)
			if lost, gaps := v.Finished(w, "cam"); len(lost) > 0 || gaps > 0 {
				t.Errorf("lost %q, %d gaps", lost, gaps)
			}
			m := v.Media(rig.ArchiveKey("cam", recording))
			from, to := m.Segments[2].ProgramDateTime, m.Segments[5].ProgramDateTime
			shift := p.URL("live/streams/cam.m3u8?start=" + from.Format("2006-01-02T15:04:05.000Z") + "&end=" + to.Format("2006-01-02T15:04:05.000Z"))
			if status := p.Status(shift); status != http.StatusOK {
				t.Errorf("time-shift: status %d", status)
			}
			p.Signal(syscall.SIGINT, 30*time.Second)

			tool := func(args ...string) (string, int) { return p.Command(append([]string{"recordings"}, args...)...) }
			name := "live/cam-" + recording
			if out, code := tool("verify", name, "-deep"); code != 0 {
				t.Errorf("verify: status %d: %s", code, out)
			}
			if why, lacks := program.Lacks["browse"]; lacks {
				t.Logf("ls and rm are left out: %s", why)
				return
			}
			if out, code := tool("ls"); code != 0 || !strings.Contains(out, name) {
				t.Errorf("ls: status %d: %s", code, out)
			}
			if out, code := tool("rm", "-yes", name); code != 0 {
				t.Errorf("rm: status %d: %s", code, out)
			}
			for _, key := range v.Keys("") {
				if strings.Contains(key, recording) {
					t.Errorf("%s is left", key)
				}
			}
		})
	}
}
