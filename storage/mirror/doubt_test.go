package mirror_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/ladder"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// An upload of a playlist that got no answer, and is carried out after the final one was written and the server was restarted, is soon
// replaced. The journal stays until then, and no longer.
func TestLateUploadIsPutRightAfterARestart(t *testing.T) {
	for name, c := range map[string]struct {
		kind   segmenter.Kind
		stream string
		again  bool // the server dies twice
		early  bool // and before the final one is written
		split  bool
		newer  bool // another recording of the stream has begun by then
		never  bool // the spool of an earlier version, or none: nothing is promised, and nothing left behind
	}{
		"timestamped":            {kind: segmenter.KindArchive, stream: "high"},
		"timestamped, early":     {kind: segmenter.KindArchive, stream: "high", early: true},
		"timestamped, two lives": {kind: segmenter.KindArchive, stream: "high", again: true},
		"timestamped, split":     {kind: segmenter.KindArchive, stream: "high", split: true},
		"live":                   {kind: segmenter.KindLive, stream: "high"},
		"entry, superseded":      {kind: segmenter.KindEntry, stream: "high", newer: true},
		"a ladder's":             {kind: segmenter.KindArchive, stream: "show"},
		"a ladder's, early":      {kind: segmenter.KindArchive, stream: "show", early: true},
		"no spool":               {kind: segmenter.KindArchive, stream: "high", never: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.groups = map[string][]string{"show": {"high", "low"}}
				if c.split {
					r.o.ArchiveSplit = 312 * time.Second
				}
				if c.never {
					r.so.Dir = ""
				}
				r.so.Sync = spool.Segment
				r.start()
				stop := r.ladders()
				high, low := r.publish("high", 4000), r.publish("low", 2000)
				frames := func(n int) {
					for range n {
						high.frame()
						low.frame()
						time.Sleep(time.Second)
					}
				}
				hit := ".m3u8"
				if c.kind == segmenter.KindEntry {
					hit = "streams/high.m3u8"
				} else {
					frames(8)
				}
				r.fault.mu.Lock()
				r.fault.err, r.fault.lost, r.fault.only = errAway, true, hit
				r.fault.mu.Unlock()
				frames(300) // long enough for each playlist to be written, and for no answer to come
				late := map[string]stored{}
				for _, key := range r.bucket.keys(".m3u8") {
					if n, ok := segmenter.ParseName(key); ok && n.Kind == c.kind && n.Stream == c.stream && strings.HasSuffix(key, hit) {
						late[key], _ = r.bucket.object(key)
					}
				}
				restart := func() {
					if c.never {
						return
					}
					r.kill(stop)
					r.start()
					stop = r.ladders()
				}
				if c.early {
					restart()
				}
				if c.split {
					frames(20)
				}
				r.fault.set(nil)
				if !c.early {
					high.end()
					low.end()
				}
				time.Sleep(15 * time.Second)
				if c.newer {
					time.Sleep(5 * time.Second)
					high = r.publish("high", 4000)
					high.run(8 * time.Second)
					high.end()
					time.Sleep(20 * time.Second)
				}
				if !c.early {
					time.Sleep(10 * time.Second)
					restart()
				}
				time.Sleep(time.Minute)
				if c.again {
					restart()
					time.Sleep(time.Minute)
				}
				if c.early {
					time.Sleep(10 * time.Minute) // its publisher does not return
				}
				good := map[string]stored{}
				changed := 0
				for key, old := range late {
					good[key], _ = r.bucket.object(key)
					if string(good[key].body) != string(old.body) {
						changed++
					}
				}
				if changed == 0 && (c.kind != segmenter.KindEntry || c.newer) && c.stream != "show" {
					t.Errorf("of %d playlists none was written after what came late: this tests nothing", len(late))
				}
				if !c.early {
					r.bucket.mu.Lock()
					for key, old := range late {
						r.bucket.objects[key] = old
					}
					r.bucket.mu.Unlock()
				}
				time.Sleep(15 * time.Minute)
				r.settled(time.Minute)
				for key, want := range good {
					if got, _ := r.bucket.object(key); string(got.body) != string(want.body) && !c.never {
						t.Errorf("%s is still what came late:\n%s\nwant\n%s", key, got.body, want.body)
					}
				}
				if found := storetest.Journals(t, r.dir); len(found) > 0 {
					t.Errorf("left in the spool: %v", found)
				}
				stop()
			})
		})
	}
}

// A store that may be written but not read does not hold a journal forever.
func TestDoubtsOfAStoreThatCannotBeRead(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		e := r.publish("cam", 3000)
		e.run(6 * time.Second)
		r.fault.set(errAway)
		r.fault.mu.Lock()
		r.fault.only = ".m3u8"
		r.fault.mu.Unlock()
		e.run(4 * time.Second) // playlists are due
		e.end()
		time.Sleep(20 * time.Second)
		r.fault.set(nil)
		r.fault.mu.Lock()
		r.fault.unread = true
		r.fault.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if len(storetest.Journals(t, r.dir)) == 0 {
			t.Error("no journal is kept for what is in doubt")
		}
		time.Sleep(2 * time.Hour)
		if found := storetest.Journals(t, r.dir); len(found) > 0 {
			t.Errorf("left in the spool: %v", found)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.mirror.Flush(ctx); err != nil || strings.Join(r.bucket.keys(".m3u8"), "") == "" {
			t.Error(err)
		}
	})
}

// ladders runs the loop beside a rig's mirror.
func (r *rig) ladders() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	l := ladder.New(r.mirror, r.reg)
	go func() { done <- l.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
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
