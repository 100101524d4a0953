package mirror_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
)

// The bucket was away for the whole life of a ladder, for longer than viewers could still see it. Afterwards it has the ladder's
// multivariant playlists, the timestamped one with its final age.
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

// ladders runs the loop beside a rig's mirror.
func (r *rig) ladders() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	l := mirror.NewLadders(r.mirror, r.reg)
	go func() { done <- l.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	}
}

// show fails the test unless the bucket has a ladder's multivariant playlists, the timestamped ones with their final age.
func (r *rig) show(name string, entries, archives, rungs int) {
	r.t.Helper()
	var live, whole int
	for _, key := range r.bucket.keys(".m3u8") {
		n, ok := segmenter.ParseName(key)
		if !ok || n.Stream != name {
			continue
		}
		o, _ := r.bucket.object(key)
		if got := strings.Count(string(o.body), "#EXT-X-STREAM-INF"); got != rungs {
			r.t.Errorf("%s names %d rungs:\n%s", key, got, o.body)
		}
		if n.Kind != segmenter.KindArchive {
			live++
			continue
		}
		whole++
		if want := "public, max-age=3600"; o.a.CacheControl != want {
			r.t.Errorf("%s has the age %q", key, o.a.CacheControl)
		}
	}
	if live != entries || whole != archives {
		r.t.Errorf("%d entries, %d timestamped playlists; want %d, %d: %v", live, whole, entries, archives, r.bucket.keys(".m3u8"))
	}
}

// left returns the journals in the spool.
func (r *rig) left() (found []string) {
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == "journal" {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		r.t.Error(err)
	}
	return found
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
				if c.low {
					entries = 3
				}
				if c.split {
					r.o.ArchiveSplit, archives = 10*time.Second, 2
				}
				r.groups, r.low = map[string][]string{"show": {"high", "low"}}, c.low
				r.start()
				stop := r.ladders()
				if !c.shown {
					r.fault.set(errAway)
				}
				high, low := r.publish("high", 4000), r.publish("low", 2000)
				for range 20 {
					high.frame()
					low.frame()
					time.Sleep(time.Second)
				}
				r.fault.set(errAway)
				if c.ends {
					high.end()
					low.end()
					time.Sleep(20 * time.Minute)
				}
				for restarts := 1; restarts > 0; restarts-- {
					r.kill(stop)
					time.Sleep(c.away)
					if c.damaged {
						flip(t, filepath.Join(r.dir, "live", "streams", "show"))
					}
					if c.removed {
						r.groups = nil
					}
					r.start()
					if !r.mirror.OwesLadders() {
						t.Error("nothing is known of the ladder")
					}
					stop = r.ladders()
					time.Sleep(time.Minute)
					if c.again {
						c.again = false
						restarts++
					}
				}
				r.fault.set(nil)
				time.Sleep(10 * time.Minute)
				r.settled(time.Minute)
				r.show("show", entries, archives, 2)
				if found := r.left(); len(found) > 0 {
					t.Errorf("left in the spool: %v", found)
				}
				stop()
			})
		})
	}
}

// Who was given the low-latency address of a stream or a ladder is sent to what is recorded now, when it has no low latency any more. Where
// there was no such address none is made.
func TestLowLatencyIsSwitchedOff(t *testing.T) {
	for name, ladder := range map[string]map[string][]string{"a stream": nil, "a ladder": {"show": {"cam"}}} {
		for _, low := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", it had it: ", low), func(t *testing.T) {
				bubble(t, func(t *testing.T, r *rig) {
					r.groups, r.low = ladder, low
					for range 2 {
						r.start()
						stop := r.ladders()
						e := r.publish("cam", 4000)
						e.run(20 * time.Second)
						e.end()
						time.Sleep(20 * time.Minute)
						r.settled(time.Minute)
						stop()
						if err := r.stop(); err != nil {
							t.Error(err)
						}
						r.low = false
					}
					r.stop = nil
					names := []string{"cam"}
					if ladder != nil {
						names = append(names, "show")
					}
					for _, stream := range names {
						entry, _ := r.bucket.object("live/streams/" + stream + ".m3u8")
						old, there := r.bucket.object("live/streams/" + stream + "_ll.m3u8")
						if there != low || there && string(old.body) != string(entry.body) {
							t.Errorf("%s: there %t:\n%s\n%s", stream, there, old.body, entry.body)
						}
					}
				})
			})
		}
	}
}

// kill cuts off the disk at one moment, and stops the server on it.
func (r *rig) kill(stop func()) {
	r.t.Helper()
	copied := r.t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(r.dir)); err != nil {
		r.t.Fatal(err)
	}
	stop()
	if err := r.stop(); err != nil {
		r.t.Error(err)
	}
	r.stop = nil
	r.dir, r.so.Dir = copied, copied
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
