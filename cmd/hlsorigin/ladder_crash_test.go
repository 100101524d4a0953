package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// TestLadderOutlivesTheServer: a show begins and ends while the bucket is away, the server is killed and started again, and then
// the bucket comes back: it has the show's multivariant playlists, the timestamped one with its last age.
func TestLadderOutlivesTheServer(t *testing.T) {
	need(t, "ffmpeg")
	t.Parallel()
	v := newVault(t)
	v.proxy.Set(storetest.Trouble{ResetRequest: 1})
	p := serve(t, t.TempDir(), brisk+"apps: {live: {groups: {show: [high, low]}}}\n"+v.yaml())
	began := time.Now()
	together := func(c *camera) { c.begun = began }
	high, low := shoot(t, p, "high", together), shoot(t, p, "low", together)
	eventually(t, 60*time.Second, "both rungs are in the ladder", func() bool {
		body := p.get(p.url("live/streams/show.m3u8"))
		return strings.HasPrefix(body, "#EXTM3U") && len(variants(t, body)) == 2
	})
	id := p.recordingOf("high")
	time.Sleep(4 * time.Second) // there is something to see in it
	high.stop()
	low.stop()
	eventually(t, 30*time.Second, "the show is over", func() bool { return slices.Contains(p.log.messages("INFO"), "ladder ended") })
	time.Sleep(time.Second) // ladders are looked at twice a second
	p.kill()
	if keys := v.keys("live/"); len(keys) > 0 {
		t.Errorf("the bucket was not away: %v", keys)
	}
	p.start()
	v.proxy.Set()
	whole := archiveKey("show", id)
	eventually(t, 90*time.Second, whole+" is final", func() bool {
		body, o, ok := v.get(whole)
		return ok && strings.Contains(o.CacheControl, "max-age=3600") && len(variants(t, string(body))) == 2
	})
	for _, entry := range []string{"live/streams/show.m3u8", "live/streams/show_adaptive.m3u8"} {
		if body, _, ok := v.get(entry); !ok || len(variants(t, string(body))) != 2 {
			t.Errorf("%s: %s", entry, body)
		}
	}
	for _, stream := range []string{"high", "low"} {
		if m := v.media(archiveKey(stream, id)); m == nil || !m.EndList {
			t.Errorf("the recording of %s is not finished", stream)
		}
	}
}
