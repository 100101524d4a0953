package cluster

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// usual are settings with segments of two seconds.
const usual = "hls: {segment_duration: 2s, window: 24s, end_grace: 5s}\nrtsp: {listen: \"\"}\n"

// TestOwnerIsKilledUnderPlayers kills the server that has a stream again and again, in a network of namespaces with HAProxy in front, while an encoder
// that reconnects pushes to it and hls.js plays it through: a new segment is listed within six seconds, three after the encoder was taken, the
// player plays on, and the archive has one discontinuity for each death, and verifies.
func TestOwnerIsKilledUnderPlayers(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw", "haproxy")
	t.Parallel()
	screen := browser.Start(t, "hls.js")
	x, v := rig.NewNet(t, 3), rig.NewVault(t)
	all := spread(t, x, v, usual)
	rtmp, web, _ := haproxy(t, x, all)
	c := rig.Shoot(t, all[0].Process, "cam", func(c *rig.Camera) { c.URL = "rtmp://" + rtmp + "/live/cam" })
	entry := web + rig.EntryKey("cam")
	rig.Eventually(t, 60*time.Second, "it is on the air", func() bool {
		m, err := m3u8.ParseMaster([]byte(rig.TryGet(entry)))
		return err == nil && len(m.Variants) > 0
	})
	id := path.Base(path.Dir(listedEntry(t, []byte(rig.TryGet(entry)))))
	live := rig.LiveKey("cam", id)
	look := func() (uint64, *m3u8.Media) {
		m, err := m3u8.ParseMedia([]byte(rig.TryGet(web + live)))
		if err != nil {
			return 0, &m3u8.Media{} // the balancer has not noticed yet
		}
		return next(m), m
	}
	rig.Eventually(t, 60*time.Second, "it has segments enough for a player", func() bool { n, _ := look(); return n >= 4 })
	page, err := screen.Play("hls.js", entry, false)
	if err != nil {
		t.Fatal(err)
	}
	seen := func() browser.Seen {
		s, err := page.Seen()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	rig.Eventually(t, 60*time.Second, "hls.js plays", func() bool { return seen().Time > 1 })
	_, m := look()
	target := m.TargetDuration
	var listed, published, gate []time.Duration
	pressed := rig.StartPressure()
	rounds := max(2, int(100*rig.Scale()*rig.Scale()))
	for round := range rounds {
		var owner *node
		rig.Eventually(t, 60*time.Second, "one server has the stream", func() bool {
			some := fed(all, "cam")
			if len(some) == 1 {
				owner = some[0]
			}
			return owner != nil
		})
		at, _ := look()
		rig.Eventually(t, 60*time.Second, "it goes on", func() bool { n, _ := look(); return n >= at+3 })
		before, _ := look()
		owner.Kill()
		killed, was := time.Now(), seen()
		rig.Eventually(t, 60*time.Second, "a new segment is listed", func() bool {
			n, m := look()
			if n > 0 && (m.TargetDuration != target || m.EndList) {
				t.Fatalf("round %d: target %d, end %v", round, m.TargetDuration, m.EndList)
			}
			return n > before && n >= 1
		})
		// What the dead server had stored and not listed is listed first; the first of the other follows a discontinuity.
		shown := time.Now()
		var heir *node
		rig.Eventually(t, 60*time.Second, "another server has it", func() bool {
			for _, n := range all {
				if n != owner && n.Log.Last(goesOn) != "" && n.Streams()["cam"].State == "live" && n.Streams()["cam"].Remote != "" {
					heir = n
				}
			}
			return heir != nil
		})
		var took struct {
			Time  time.Time
			After time.Duration
			Next  uint64
		}
		if err := json.Unmarshal([]byte(heir.Log.Last(goesOn)), &took); err != nil {
			t.Fatal(err)
		}
		rig.Eventually(t, 60*time.Second, "the first segment of the other is listed", func() bool {
			n, _ := look()
			shown = time.Now()
			return n > took.Next
		})
		listed, published, gate = append(listed, shown.Sub(killed)), append(published, shown.Sub(took.Time)), append(gate, took.After)
		rig.Eventually(t, 60*time.Second, "hls.js plays on", func() bool {
			s := seen()
			if len(s.Fatal) > 0 {
				t.Fatalf("round %d: hls.js gives up: %v", round, s.Fatal)
			}
			return s.Time > was.Time+8
		})
		owner.Start()
		rig.Eventually(t, 60*time.Second, "it is ready again", func() bool { return owner.Status("http://"+owner.Admin+"/readyz") == 200 })
	}
	s := seen()
	share := pressed.Share()
	for _, all := range [][]time.Duration{listed, published, gate} {
		slices.Sort(all)
	}
	figures := func(d []time.Duration) string {
		return fmt.Sprintf("%v in the middle, %v at most", d[len(d)/2].Round(time.Millisecond), d[len(d)-1].Round(time.Millisecond))
	}
	stood := 0.0
	for _, x := range s.Stalls {
		stood = max(stood, x.Ms)
	}
	t.Logf("%d deaths; a new segment after the death: %s; after the encoder was taken: %s; taking over lasted %s; hls.js played %.0f s with %d stalls, of %.0f ms at most, and jumped %d times; the machine was pressed for %.0f %%",
		rounds, figures(listed), figures(published), figures(gate), s.Played, len(s.Stalls), stood, len(s.Jumps), 100*share)
	slack := rig.Slack(share, 5*time.Second)
	if longest := listed[len(listed)-1]; longest > 6*time.Second+slack {
		t.Errorf("a new segment %v after the death, want 6 s", longest)
	}
	if longest := published[len(published)-1]; longest > 3*time.Second+slack {
		t.Errorf("a new segment %v after the encoder was taken, want 3 s", longest)
	}
	c.Stop()
	rig.Eventually(t, 60*time.Second, "the recording has ended", func() bool {
		body, _, _ := v.Get(live)
		return strings.Contains(string(body), m3u8.EndList)
	})
	for _, n := range all {
		v.WaitSettled(n.Process, 60*time.Second)
	}
	lists, gaps := verified(t, v, all, "cam")
	breaks := 0
	ids, err := storage.Archives(t.Context(), v.Store, segmenter.Key{App: "live", Stream: "cam"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range ids {
		for _, row := range v.Media(rig.ArchiveKey("cam", string(name))).Segments {
			if row.Discontinuity {
				breaks++
			}
			if !strings.Contains(row.URI, id) {
				t.Errorf("%s is of another recording", row.URI)
			}
		}
	}
	if breaks != rounds || gaps > 0 || lists != rounds+1 {
		t.Errorf("%d discontinuities, %d gaps and %d timestamped playlists after %d deaths", breaks, gaps, lists, rounds)
	}
}
