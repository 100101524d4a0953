package mirror_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/mirror"
)

// A ladder that began and ended while the bucket was away, longer than viewers could still see it, has its multivariant
// playlists there afterwards, the timestamped one with its last age.
func TestLadderSurvivesAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.groups = map[string][]string{"show": {"high", "low"}}
		r.start()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- mirror.NewLadders(r.mirror, r.reg).Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		r.fault.set(errAway)
		high, low := r.publish("high", 4000), r.publish("low", 2000)
		for range 20 {
			high.frame()
			low.frame()
			time.Sleep(time.Second)
		}
		high.end()
		low.end()
		time.Sleep(20 * time.Minute)
		if len(r.reg.Ladders()) != 0 {
			t.Fatal("the ladder is still shown: this tests nothing")
		}
		if keys := r.bucket.keys(".m3u8"); len(keys) > 0 {
			t.Fatal(keys)
		}
		r.fault.set(nil)
		time.Sleep(2 * time.Minute)
		r.settled(time.Minute)
		time.Sleep(2 * time.Second)
		found := 0
		for _, key := range r.bucket.keys(".m3u8") {
			if !strings.HasPrefix(key, "live/streams/show") {
				continue
			}
			found++
			o, _ := r.bucket.object(key)
			if n := strings.Count(string(o.body), "#EXT-X-STREAM-INF"); n != 2 {
				t.Errorf("%s names %d rungs:\n%s", key, n, o.body)
			}
			if want := "public, max-age=3600"; strings.HasPrefix(key, "live/streams/show-") && o.a.CacheControl != want {
				t.Errorf("%s has the age %q", key, o.a.CacheControl)
			}
		}
		if found != 3 {
			t.Errorf("%d multivariant playlists: %v", found, r.bucket.keys(".m3u8"))
		}
	})
}
