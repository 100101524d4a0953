package lowlatency

import (
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestPlayersGoOn has low-latency players watch while the uplink hiccups and stalls, the encoder is restarted, and the server is
// killed: each plays on by itself after each of these, and PART-TARGET stays what it was.
func TestPlayersGoOn(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg")
	b := browser.Start(t, "hls.js", "shaka-player", "dashjs")
	playersGoOn(t, b, "cam_ll.m3u8", "hls.js", "shaka")
	if rig.Scale() >= 1 {
		playersGoOn(t, b, "cam_cmaf.m3u8", "hls.js", "shaka")
		playersGoOn(t, b, "cam_ll.mpd", "dash.js", "shaka")
	}
}

func playersGoOn(t *testing.T, b *browser.Browser, file string, names ...string) {
	p := rig.Serve(t, t.TempDir(), config)
	line := rig.NewValve(t, p.RTMP)
	camera := rig.Shoot(t, p, "cam", rig.Through(line))
	entry := p.URL("live/streams/" + file)
	rig.Eventually(t, 30*time.Second, "the stream is there", func() bool { return p.Status(entry) == 200 })
	recording := p.RecordingOf("cam")
	target := func() string {
		return partTarget.FindString(rig.TryGet(p.URL("live/streams/cam/" + recording + "/ll.m3u8")))
	}
	rig.Eventually(t, 30*time.Second, "there are parts", func() bool { return target() != "" })
	was := target()

	players := map[string]*browser.Page{}
	for _, name := range names {
		page, err := b.Play(name, "", false)
		if err != nil {
			t.Fatal(err)
		}
		defer page.Close()
		if err := page.Go(entry); err != nil {
			t.Fatal(err)
		}
		players[name] = page
	}
	stall := rig.Scaled(20*time.Second, 4*time.Second)
	rig.Eventually(t, time.Minute, "all play", func() bool {
		n := 0
		for _, page := range players {
			if s, err := page.Seen(); err == nil && s.Started {
				n++
			}
		}
		return n == len(players)
	})
	for _, trouble := range []struct {
		name string
		make func()
	}{
		{"the beginning", func() {}},
		{"a hiccup", func() { line.Hold(); time.Sleep(1500 * time.Millisecond); line.Release() }},
		{"a stall", func() { line.Hold(); time.Sleep(stall); line.Release() }},
		{"the encoder's restart", func() {
			camera.Stop()
			time.Sleep(time.Second)
			camera = rig.Shoot(t, p, "cam", rig.Through(line), rig.BeginningAnew)
		}},
		{"the server's death", func() { p.Signal(syscall.SIGKILL, 10*time.Second); p.Start() }},
	} {
		if rig.Scale() < 1 && (trouble.name == "the beginning" || trouble.name == "a hiccup") {
			continue // a stall is a longer hiccup
		}
		trouble.make()
		goOn(t, players, trouble.name)
	}
	camera.Stop()
	if now := target(); now != was || p.RecordingOf("cam") != recording {
		t.Errorf("%q in %s, and was %q in %s", now, p.RecordingOf("cam"), was, recording)
	}
	for name, page := range players {
		s, err := page.Seen()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s %s: %d stalls, errors %v", name, s.Version, len(s.Stalls), s.Errors)
	}
}

var partTarget = regexp.MustCompile(`PART-TARGET=[0-9.]+`)

// goOn waits until each player has a second more of what came since, and has played a second more. What it calls fatal may not be:
// Shaka does so before it tries again.
func goOn(t *testing.T, players map[string]*browser.Page, after string) {
	t.Helper()
	over, first, on := time.Now(), map[string]browser.Seen{}, map[string]bool{}
	rig.Eventually(t, 90*time.Second, "all play on after "+after, func() bool {
		for name, page := range players {
			s, err := page.Seen()
			if err != nil {
				t.Fatal(err)
			}
			was, known := first[name]
			if !known {
				first[name] = s
				continue
			}
			if !on[name] && s.Time+s.Ahead >= was.Time+was.Ahead+1 && s.Played >= was.Played+1 {
				on[name] = true
				t.Logf("%s plays on after %s after %v", name, after, time.Since(over).Round(100*time.Millisecond))
			}
		}
		return len(on) == len(players)
	})
}
