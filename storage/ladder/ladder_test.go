package ladder_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/ladder"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// shows fails the test unless the bucket has a ladder's multivariant playlists, the timestamped ones with their final age.
func (r *rig) shows(name string, entries, archives, rungs int) {
	r.t.Helper()
	var live, whole int
	for _, key := range r.bucket.playlists() {
		n, ok := segmenter.ParseName(key)
		if !ok || n.Stream != name {
			continue
		}
		if got := strings.Count(r.bucket.text(key), "#EXT-X-STREAM-INF"); got != rungs {
			r.t.Errorf("%s names %d rungs:\n%s", key, got, r.bucket.text(key))
		}
		if n.Kind != segmenter.KindArchive {
			live++
			continue
		}
		whole++
		if o, err := r.bucket.Stat(r.t.Context(), key); err != nil || o.CacheControl != "public, max-age=3600" {
			r.t.Errorf("%s has the age %q: %v", key, o.CacheControl, err)
		}
	}
	if live != entries || whole != archives {
		r.t.Errorf("%d entries, %d timestamped playlists; want %d, %d: %v", live, whole, entries, archives, r.bucket.playlists())
	}
}

// The bucket was away for the whole life of a ladder, for longer than viewers could still see it. Afterwards it has the ladder's
// multivariant playlists, the timestamped one with its final age.
func TestLadderSurvivesAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.away(true)
		e := r.publish("high", "low")
		e.run(20)
		e.end()
		time.Sleep(20 * time.Minute)
		if len(r.reg.Ladders()) != 0 {
			t.Fatal("the ladder is still shown: this tests nothing")
		}
		if keys := r.bucket.playlists(); len(keys) > 0 {
			t.Fatal(keys)
		}
		r.away(false)
		time.Sleep(2 * time.Minute)
		r.settled()
		time.Sleep(2 * time.Second)
		r.shows("show", 2, 1, 2)
	})
}

// A variant is listed in a store only once its playlist is there: bucket checks each write. What the store does not take is written when it does,
// and until then the ladder's timestamped playlist is not final.
func TestRungIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		low := func(op storetest.Op, key string) bool {
			return op == storetest.OpPut && strings.Contains(key, "/low") && strings.HasSuffix(key, ".m3u8")
		}
		final := func() bool {
			keys := storetest.Keys(t, r.bucket, "live/streams/show-")
			if len(keys) != 1 {
				t.Fatalf("timestamped playlists: %v", keys)
			}
			o, err := r.bucket.Stat(t.Context(), keys[0])
			return err == nil && o.CacheControl == segmenter.AgeSettled
		}
		r.start()
		r.store.Set(storetest.Fault{Match: low, Err: errAway})
		e := r.publish("high", "low")
		e.run(20)
		if n := strings.Count(r.bucket.text("live/streams/show.m3u8"), "#EXT-X-STREAM-INF"); n != 1 {
			t.Errorf("%d rungs are named while the playlist of one is refused", n)
		}
		r.away(false)
		e.run(20)
		r.store.Set(storetest.Fault{Match: low, Err: errAway})
		e.end()
		time.Sleep(2 * time.Minute)
		if final() {
			t.Error("it is final, and a rung's is not")
		}
		r.away(false)
		time.Sleep(20 * time.Minute)
		r.settled()
		r.shows("show", 2, 1, 2)
		if !final() {
			t.Error("it is not final in the end")
		}
	})
}

// What a store still lacks of a ladder outlives the process, however far the show had come when that died, and whether or not the ladder is
// still configured.
func TestLadderSurvivesARestart(t *testing.T) {
	for name, c := range map[string]struct {
		ends    bool          // before the restart
		away    time.Duration // how long the server is away
		removed bool          // the ladder is no longer configured
		again   bool          // it is killed once more before the bucket comes back
		shown   bool          // the bucket had it before it became unreachable
		damaged bool          // a byte of the ladder's journal is wrong
		split   bool
		low     bool // it has low latency
	}{
		"it ended":                {ends: true, away: time.Minute},
		"it ended, two restarts":  {ends: true, away: time.Minute, again: true},
		"it ended, no ladder now": {ends: true, away: time.Minute, removed: true},
		"a flipped byte":          {ends: true, away: time.Minute, damaged: true},
		"splits":                  {ends: true, away: time.Minute, split: true},
		"low latency":             {ends: true, away: time.Minute, low: true},
		"in the middle, low":      {away: time.Hour, low: true},
		"in the middle":           {away: time.Hour},
		"in the middle, shown":    {away: time.Hour, shown: true},
		"in the middle, no group": {away: time.Hour, removed: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				entries, archives := 2, 1
				if r.low = c.low; c.low {
					entries = 3
				}
				if c.split {
					r.split, archives = 10*time.Second, 2
				}
				r.start()
				r.away(!c.shown)
				e := r.publish("high", "low")
				e.run(20)
				r.away(true)
				if c.ends {
					e.end()
					time.Sleep(20 * time.Minute)
				}
				for restarts := 1; restarts > 0; restarts-- {
					r.kill()
					time.Sleep(c.away)
					if c.damaged {
						flip(t, filepath.Join(r.dir, "live", "streams", "show"))
					}
					if c.removed {
						r.groups = nil
					}
					r.start()
					if len(r.mirror.Ladders()) == 0 {
						t.Error("nothing is known of the ladder")
					}
					want := map[segmenter.Key][]string{{App: "live", Stream: "show"}: {"high", "low"}}
					if c.ends {
						clear(want)
					}
					if got := ladder.Unended(r.mirror); !maps.EqualFunc(got, want, slices.Equal) {
						t.Errorf("%v go on, want %v", got, want)
					}
					time.Sleep(time.Minute)
					if c.again {
						c.again = false
						restarts++
					}
				}
				r.away(false)
				time.Sleep(10 * time.Minute)
				r.settled()
				r.shows("show", entries, archives, 2)
				if found := storetest.Journals(t, r.dir); len(found) > 0 {
					t.Errorf("left in the spool: %v", found)
				}
			})
		})
	}
}

// Who was given the low-latency address of a ladder is sent to what is recorded now, when it has no low latency any more. Where there was no such
// address none is made.
func TestLowLatencyIsSwitchedOff(t *testing.T) {
	for _, low := range []bool{true, false} {
		t.Run(fmt.Sprint("it had it: ", low), func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.groups, r.low = map[string][]string{"show": {"cam"}}, low
				for range 2 {
					r.start()
					e := r.publish("cam")
					e.run(20)
					e.end()
					time.Sleep(20 * time.Minute)
					r.settled()
					r.stop()
					r.low = false
				}
				for _, stream := range []string{"cam", "show"} {
					entry, old := r.bucket.text("live/streams/"+stream+".m3u8"), r.bucket.text("live/streams/"+stream+"_ll.m3u8")
					if (old != "") != low || old != "" && old != entry {
						t.Errorf("%s:\n%s\n%s", stream, old, entry)
					}
				}
			})
		})
	}
}

// Beside the playlists over transport streams the bucket has those over tracks, and manifests, with the final age in the end.
func TestLadderAsCMAF(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cmaf = true
		r.start()
		e := r.publish("high", "low")
		e.run(40)
		e.end()
		time.Sleep(2 * time.Minute)
		r.settled()
		time.Sleep(2 * time.Second)
		found := map[segmenter.Kind]int{}
		for _, key := range storetest.Keys(t, r.bucket, "live/streams/show") {
			n, _ := segmenter.ParseName(key)
			found[n.Kind]++
			text := r.bucket.text(key)
			switch o, _ := r.bucket.Stat(t.Context(), key); n.Kind {
			case segmenter.KindCMAFArchive, segmenter.KindDASHArchive:
				if o.CacheControl != segmenter.AgeSettled {
					t.Errorf("%s has the age %q", key, o.CacheControl)
				}
			}
			if strings.HasSuffix(key, ".mpd") && strings.Count(text, "<Representation") != 2 || strings.HasSuffix(key, ".m3u8") && strings.Count(text, "#EXT-X-STREAM-INF") != 2 {
				t.Errorf("%s:\n%s", key, text)
			}
		}
		want := map[segmenter.Kind]int{
			segmenter.KindEntry: 2, segmenter.KindArchive: 1, segmenter.KindCMAFEntry: 1, segmenter.KindCMAFArchive: 1, segmenter.KindDASHEntry: 1, segmenter.KindDASHArchive: 1,
		}
		if !maps.Equal(found, want) {
			t.Errorf("the bucket has %v, want %v", found, want)
		}
	})
}

// flip damages a byte in the middle of the only journal under a directory.
func flip(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", "journal"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	body, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	body[len(body)/3] ^= 0x10
	if err := os.WriteFile(names[0], body, 0o644); err != nil {
		t.Fatal(err)
	}
}
