package cdn

import (
	"fmt"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestCDNResumes switches the encoder off and on, kills and restarts the server, and blocks the uplink. Players behind the edge wait no
// longer than necessary, and nobody is ever shown a segment twice or another in its place.
func TestCDNResumes(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "varnishd")
	p := rig.Serve(t, t.TempDir(), behindEdge)
	c := front(t, p, "")
	line := rig.NewValve(t, p.RTMP)
	cam := rig.Shoot(t, p, "cam", rig.Through(line))
	live := c.playable(t, "cam", 30*time.Second)
	a := gather(t, c.url+"streams/cam.m3u8", p.URL("live/"+live), 8, 2*time.Second)
	goOn := func(what string) {
		t.Helper()
		n := a.newest()
		rig.Eventually(t, 40*time.Second, "everybody plays on after "+what, func() bool { return a.newest() >= max(n, 2)+3 })
	}
	goOn("the beginning")

	cam.Stop()
	time.Sleep(time.Second)
	cam = rig.Shoot(t, p, "cam", rig.Through(line), rig.BeginningAnew)
	goOn("the encoder's restart")

	p.Signal(syscall.SIGKILL, 10*time.Second)
	time.Sleep(2 * time.Duration(c.TargetDuration) * time.Second) // for longer than a stale copy may be served
	p.Start()
	goOn("the server's restart")

	line.Hold()
	time.Sleep(3 * time.Duration(c.TargetDuration) * time.Second)
	if res, body := c.ask(t, live); res.StatusCode != http.StatusOK || strings.Contains(body, "ENDLIST") {
		t.Errorf("in a stall: %s\n%s", res.Status, body)
	}
	line.Release()
	goOn("the stall")

	cam.Stop()
	rig.Eventually(t, 30*time.Second, "everybody sees the end", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, s := range a.players {
			if !s.ended {
				return false
			}
		}
		return true
	})
	a.good()
	if a.stale == 0 {
		t.Error("nobody was shown a copy while the server was away")
	}
	t.Logf("%d requests, %d stale copies, longest wait for a segment %v, superseded playlists for %v; errors shown: %q",
		a.requests, a.stale, a.wait().Round(time.Millisecond), a.lag.Round(time.Millisecond), a.errors())
}

// TestCDNShowStartsAgain checks that a show that ended and starts again is at the same URL within two target durations, and that from then
// on nobody is shown the old one, though the bucket has it.
func TestCDNShowStartsAgain(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "varnishd", "nginx")
	dir := t.TempDir()
	p := rig.Serve(t, dir, strings.Replace(behindEdge, "end_grace: 10s", "end_grace: 1s", 1))
	c := front(t, p, filepath.Join(dir, "data", "bucket"))
	const entry = "streams/show.m3u8"
	cam := rig.Shoot(t, p, "show")
	recording := path.Base(path.Dir(c.playable(t, "show", 30*time.Second)))

	for _, gone := range []bool{false, true} { // the old show is still there, or gone
		cam.Stop()
		said := ""
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("of %s the edge said last: %s", recording, said)
			}
		})
		rig.Eventually(t, 30*time.Second, "the show has ended", func() bool {
			res, body := c.ask(t, "streams/show/"+recording+"/live.m3u8")
			said = fmt.Sprint(res.Status, res.Header, "\n", body)
			return strings.Contains(body, "ENDLIST")
		})
		if gone {
			rig.Eventually(t, 30*time.Second, "the show is gone", func() bool {
				res, _ := c.ask(t, entry)
				other, _ := c.ask(t, entry, "Accept-Encoding", "gzip")
				return res.StatusCode == http.StatusNotFound && other.StatusCode == http.StatusNotFound
			})
		}
		cam = rig.Shoot(t, p, "show")
		var began time.Time // at the server
		seen := [2]time.Time{}
		again := ""
		for deadline := time.Now().Add(60 * time.Second); began.IsZero() || seen[0].IsZero() || seen[1].IsZero() || time.Since(began) < 6*time.Second; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the show does not start again")
			}
			if began.IsZero() {
				if _, now := entryOf(t, p, "show"); now != "" && now != recording {
					began, again = time.Now(), now
				}
			}
			for i, encoding := range []string{"identity", "gzip"} {
				now := c.recordingAt(t, entry, encoding)
				switch {
				case now == "" && gone && seen[i].IsZero():
				case now == "":
					t.Errorf("%s: gone at the edge %v after it began", encoding, time.Since(began))
				case now != recording && seen[i].IsZero():
					seen[i] = time.Now()
				case now == recording && (gone || !seen[i].IsZero()):
					t.Errorf("%s: yesterday's show is shown", encoding)
				}
			}
		}
		limit := 2 * time.Duration(c.TargetDuration) * time.Second
		for i, at := range seen {
			if late := at.Sub(began); late > limit {
				t.Errorf("gone %v, encoding %d: seen %v after it began", gone, i, late)
			} else {
				t.Logf("gone %v, encoding %d: seen %v after it began", gone, i, late.Round(time.Millisecond))
			}
		}
		recording = again
	}
	for _, f := range c.tap.excess(c.rules) {
		t.Error(f)
	}
}

// recordingAt returns the recording named by the stable entry at the edge; "" for none.
func (c *cdn) recordingAt(t *testing.T, entry, encoding string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, c.url+entry, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", encoding)
	res, err := plainly.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := readAll(res)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		return ""
	}
	return path.Base(path.Dir(lastLine(string(body))))
}

// entryOf requests a stable entry from the server itself, and returns its status and the recording in it.
func entryOf(t *testing.T, p *rig.Process, stream string) (status int, recording string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodHead, p.URL("live/streams/"+stream+".m3u8"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Origin-Secret", cdnSecret)
	res, err := plainly.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK { // a GET would be held
		return res.StatusCode, ""
	}
	req.Method = http.MethodGet
	if res, err = plainly.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	body, err := readAll(res)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		return res.StatusCode, ""
	}
	return res.StatusCode, path.Base(path.Dir(lastLine(string(body))))
}
