package crash

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestLadderOutlivesTheServer begins and ends a show while the bucket is away, then kills and restarts the server, and then the bucket
// comes back: it gets the show's multivariant playlists, the timestamped one with its final age.
func TestLadderOutlivesTheServer(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	v := rig.NewVault(t)
	v.Proxy.Set(storetest.Trouble{ResetRequest: 1})
	p := rig.Serve(t, t.TempDir(), rig.Brisk+"apps: {live: {groups: {show: [high, low]}}}\n"+v.YAML())
	began := time.Now()
	together := rig.Since(began)
	high, low := rig.Shoot(t, p, "high", together), rig.Shoot(t, p, "low", together)
	rig.Eventually(t, 60*time.Second, "both rungs are in the ladder", func() bool {
		body := p.Get(p.URL("live/streams/show.m3u8"))
		return strings.HasPrefix(body, "#EXTM3U") && rungs(t, body) == 2
	})
	id := p.RecordingOf("high")
	time.Sleep(4 * time.Second) // there is something to see in it
	high.Stop()
	low.Stop()
	rig.Eventually(t, 30*time.Second, "the show is over", func() bool { return slices.Contains(p.Log.Messages("INFO"), "ladder ended") })
	time.Sleep(time.Second) // ladders are checked twice a second
	p.Kill()
	if keys := v.Keys("live/"); len(keys) > 0 {
		t.Errorf("the bucket was not away: %v", keys)
	}
	p.Start()
	v.Proxy.Set()
	whole := rig.ArchiveKey("show", id)
	rig.Eventually(t, 90*time.Second, whole+" is final", func() bool {
		body, o, ok := v.Get(whole)
		return ok && strings.Contains(o.CacheControl, "max-age=3600") && rungs(t, string(body)) == 2
	})
	for _, entry := range []string{"live/streams/show.m3u8", "live/streams/show_adaptive.m3u8"} {
		if body, _, ok := v.Get(entry); !ok || rungs(t, string(body)) != 2 {
			t.Errorf("%s: %s", entry, body)
		}
	}
	for _, stream := range []string{"high", "low"} {
		if m := v.Media(rig.ArchiveKey(stream, id)); m == nil || !m.EndList {
			t.Errorf("the recording of %s is not finished", stream)
		}
	}
}

// rungs returns the number of variants of a multivariant playlist.
func rungs(t *testing.T, body string) int {
	t.Helper()
	m, err := m3u8.ParseMaster([]byte(body))
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return len(m.Variants)
}
