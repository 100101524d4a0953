package show

import (
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestPlayThrough lets a person watch with unmodified hls.js, with its default retries, while the server is killed and restarted, stopped
// and restarted, and while the encoder is away for 5 s: the page is never reloaded, nothing old is shown again, and the show goes on.
func TestPlayThrough(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	b := launchBrowser(t, "hls.js")
	clip := rig.CountedClip(t, 320, 180, 150*time.Second)
	p := rig.Serve(t, t.TempDir(), "hls: {segment_duration: 2s}\n")
	encoder := broadcast(t, clip, "rtmp://"+p.RTMP+"/live/cam", time.Now(), false)
	live := livePath(t, p, "live/streams/cam.m3u8")
	joinable(t, p.URL("live/streams/"+live))
	player := b.play("hls.js", p.URL("live/streams/cam.m3u8"), true)
	player.started(30 * time.Second)
	player.reaches(player.seen().Time+2, 30*time.Second)

	restart := func(sig syscall.Signal) func() {
		return func() {
			p.Signal(sig, 30*time.Second)
			began := time.Now()
			p.Start()
			t.Logf("the server answers %v after it was started", time.Since(began).Round(time.Millisecond))
		}
	}
	for _, c := range []struct {
		name  string
		do    func()
		still time.Duration // without a picture, in total: for which there was no content
	}{
		{"kill -9 and start", restart(syscall.SIGKILL), 4 * time.Second},
		{"SIGTERM and start", restart(syscall.SIGTERM), 4 * time.Second},
		{"the encoder is away for 5 s", func() { encoder.drop(5 * time.Second) }, 9 * time.Second},
	} {
		before := player.seen()
		shown := int(time.Since(encoder.began).Seconds() * 25) // what is being sent now
		c.do()
		// It has recovered when it shows what was sent well after.
		var s browser.Seen
		rig.Eventually(t, 90*time.Second, "hls.js shows what was sent after "+c.name, func() bool {
			s = player.seen()
			if len(s.Fatal) > 0 {
				t.Fatalf("%s: hls.js gave up: %v", c.name, s.Fatal)
			}
			return s.Counter.Last > shown+5*25+int(c.still.Seconds()*25)
		})
		player.alive(s)
		still := time.Duration(0)
		for _, x := range s.Stalls[len(before.Stalls):] {
			still += time.Duration(x.Ms) * time.Millisecond
		}
		if still > c.still {
			t.Errorf("%s: hls.js stood still for %v: %+v", c.name, still, s.Stalls)
		}
		first, last := before.Fragments[len(before.Fragments)-1], s.Fragments[len(s.Fragments)-1]
		if last.SN <= first.SN || last.Date <= first.Date {
			t.Errorf("%s: from segment %+v to %+v", c.name, first, last)
		}
		t.Logf("%s: from picture %d to %d, segment %d to %d, still for %v, jumps %v, errors %v", c.name,
			before.Counter.Last, s.Counter.Last, first.SN, last.SN, still, s.Jumps[len(before.Jumps):], s.Errors)
	}
	player.shot("play-through")
	if now := livePath(t, p, "live/streams/cam.m3u8"); now != live {
		t.Errorf("the recording is %s and was %s", now, live)
	}
}
