package mirror_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

var errAway = errors.New("connection refused")

func TestOutageIsDrained(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		e := r.publish("cam", 4000)
		e.run(30 * time.Second)
		r.fault.set(errAway)
		e.run(3 * time.Minute)
		if h := r.mirror.Health(); len(h) != 1 || h[0].Kind != "uploads" || !strings.Contains(h[0].Text, "bucket") {
			t.Errorf("health: %+v", h)
		}
		b := r.mirror.Behind()[0]
		if b.Segments < 88 || b.Segments > 91 || time.Since(b.Oldest) < 170*time.Second {
			t.Errorf("behind: %+v", b)
		}
		if r.fault.refusals() > 60 {
			t.Errorf("%d attempts on a store that is away", r.fault.refusals())
		}
		r.fault.set(nil)
		healed := time.Now()
		e.run(45 * time.Second)
		if b := r.mirror.Behind()[0]; b.Segments > 1 {
			t.Errorf("45 s after the outage: %+v", b)
		}
		if h := r.mirror.Health(); len(h) != 0 {
			t.Errorf("health: %+v", h)
		}
		_ = healed
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		r.complete(128, 0) // 255 frames of 1 s, and the last alone
	})
}

// A store that fails every other call is slow, not away: nothing waits for long pauses.
func TestFlakyStoreKeepsUp(t *testing.T) {
	for name, set := range map[string]func(f *fault){
		"every other call fails":        func(f *fault) { f.err, f.every = errAway, 2 },
		"every third answer is lost":    func(f *fault) { f.err, f.every, f.lost = errAway, 3, true },
		"every other call is throttled": func(f *fault) { f.err, f.every = fmt.Errorf("%w: 503", storage.ErrThrottled), 2 },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				set(r.fault)
				r.start()
				e := r.publish("cam", 4000)
				e.run(2 * time.Minute)
				if b := r.mirror.Behind()[0]; b.Segments > 4 {
					t.Errorf("behind: %+v", b)
				}
				e.end()
				time.Sleep(20 * time.Second)
				r.settled(30 * time.Second)
				r.complete(60, 0)
			})
		})
	}
}

func TestRefusalSlowsDownAndKeepsTheData(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.fault.set(fmt.Errorf("put: 403 Forbidden: %w", storage.ErrPermanent))
		r.start()
		e := r.publish("cam", 4000)
		e.run(30 * time.Minute)
		synctest.Wait() // an attempt may be due just now
		refused := r.fault.refusals()
		if refused < 30*60/5 || refused > 30*60*3/10 { // every five seconds at least, and not much more
			t.Errorf("%d attempts in 30 min", refused)
		}
		if h := r.mirror.Health(); len(h) != 1 || h[0].Kind != "uploads" || !strings.Contains(h[0].Text, "403") {
			t.Errorf("health: %+v", h)
		}
		if n := r.mirror.Uploaders()[0].Stats().Failures[storage.Permanent].Load(); n != int64(refused) {
			t.Errorf("%d counted, %d met", n, refused)
		}
		r.fault.set(nil)
		e.run(6 * time.Minute)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		r.complete(36*30, 0)
	})
}

// said is what was logged.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// refusesOne is a store that refuses keys with one suffix, and accepts all others.
type refusesOne struct {
	*ledger
	mu  sync.Mutex
	end string // "": none
}

func (s *refusesOne) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	s.mu.Lock()
	refused := s.end != "" && strings.HasSuffix(key, s.end)
	s.mu.Unlock()
	if refused {
		return "", fmt.Errorf("put %s: 403 Forbidden: %w", key, storage.ErrPermanent)
	}
	return s.ledger.Put(ctx, key, body, a)
}

// An object refused because of its name delays nothing else, is logged once, and is written when it is allowed.
func TestOneRefusedObjectHoldsUpNoOther(t *testing.T) {
	for name, end := range map[string]string{"segment": "/000000003.ts", "live playlist": "/live.m3u8", "entry": "/cam.m3u8", "timestamped playlist": ".000.m3u8",
		"low-latency playlist": "/ll.m3u8", "low-latency entry": "/cam_ll.m3u8"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				store := &refusesOne{ledger: r.bucket}
				r.fault.Putter = store
				log := &said{}
				r.o.Log, r.low = slog.New(slog.NewTextHandler(log, nil)), strings.HasSuffix(end, "ll.m3u8")
				r.start()
				e, other := r.publish("cam", 4000), r.publish("dog", 4000)
				run := func(n int) {
					for range n {
						other.frame()
						e.run(time.Second)
					}
				}
				run(5)
				store.mu.Lock()
				store.end = end
				store.mu.Unlock()
				run(60) // at first the store may seem to refuse everything, and an entry is written only now and then
				before := log.String()
				for range 90 {
					run(1)
					if b := r.mirror.Behind()[0]; b.Segments > 4 { // one that is refused, and one in progress, of each
						t.Fatalf("%+v are held up", b)
					}
				}
				if h := r.mirror.Health(); len(h) != 1 || h[0].Kind != "object" || !strings.Contains(h[0].Text, "403") {
					t.Errorf("health: %+v", h)
				}
				wait, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				if err := r.mirror.Barrier(wait); (err == nil) != (name != "segment" && name != "live playlist") {
					t.Errorf("segments and live playlists: %v", err)
				}
				cancel()
				if n := strings.Count(before, "level=ERROR"); n < 1 || n > 2 || !strings.Contains(before, "takes others") || !strings.Contains(before, end) {
					t.Errorf("%d lines:\n%s", n, before)
				}
				if more := strings.TrimPrefix(log.String(), before); more != "" {
					t.Errorf("said again:\n%s", more)
				}
				store.mu.Lock()
				store.end = ""
				store.mu.Unlock()
				run(10)
				if h := r.mirror.Health(); len(h) != 0 {
					t.Errorf("health: %+v", h)
				}
				e.end()
				other.end()
				time.Sleep(30 * time.Second)
				r.settled(time.Minute)
				twins := r.bucket.keys("/ll.m3u8")
				if (len(twins) == 2) != r.low {
					t.Errorf("low-latency playlists: %v", twins)
				}
				for _, key := range twins {
					twin, _ := r.bucket.object(key)
					if live, _ := r.bucket.object(strings.Replace(key, "/ll.", "/live.", 1)); !bytes.Equal(twin.body, live.body) || twin.a.CacheControl != live.a.CacheControl {
						t.Errorf("%s is no copy:\n%s\n%s", key, twin.body, live.body)
					}
				}
			})
		})
	}
}

// An operator who knows that the store has recovered need not wait for the next probe.
func TestRetryAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.fault.set(fmt.Errorf("put: 403 Forbidden: %w", storage.ErrPermanent))
		r.start()
		e := r.publish("cam", 4000)
		e.run(10 * time.Minute)
		for range 3 { // whatever is left of the pause
			before := r.fault.refusals()
			r.mirror.Retry()
			time.Sleep(time.Millisecond)
			if r.fault.refusals() == before {
				t.Error("nothing was tried")
			}
		}
		r.fault.set(nil)
		r.mirror.Retry()
		time.Sleep(time.Second)
		if b := r.mirror.Behind()[0]; b.Segments > 1 {
			t.Errorf("behind: %+v", b)
		}
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
	})
}

func TestConflictIsLoudAndBecomesAGap(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		id := time.Now().UTC().Format("2006-01-02_15-04-05.000")
		key := "live/streams/cam/" + id + "/000000003.ts"
		r.bucket.objects[key] = stored{size: 1}
		e := r.publish("cam", 4000)
		e.run(20 * time.Second)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Second)
		r.complete(10, 1)
		if n := r.mirror.Uploaders()[0].Stats().Conflicts.Load(); n != 1 {
			t.Errorf("%d conflicts", n)
		}
		if o, _ := r.bucket.object(key); o.size != 1 {
			t.Error("the other writer's object was overwritten")
		}
	})
}

// diskTrouble is a disk that can be told to fail, or to hang.
type diskTrouble struct {
	err  atomic.Pointer[error]
	hang atomic.Pointer[chan struct{}]

	hangOn  string      // part of the names of files that hang
	opening atomic.Bool // the last write was the first of a segment
}

func (d *diskTrouble) fs() spool.FS {
	return spool.FS{
		Sync: quick.Sync, SyncDir: quick.SyncDir,
		Write: func(f *os.File, p []byte, off int64) error {
			opening := d.opening.Swap(off == 0 && strings.HasSuffix(f.Name(), ".ts.tmp"))
			if ch := d.hang.Load(); ch != nil && strings.Contains(f.Name(), d.hangPart()) && (d.hangOn != "opening" || opening) {
				<-*ch
			}
			if err := d.err.Load(); err != nil {
				return *err
			}
			_, err := f.WriteAt(p, off)
			return err
		},
		Open: func(name string, flag int) (*os.File, error) {
			if err := d.err.Load(); err != nil && flag != os.O_RDONLY {
				return nil, *err
			}
			return os.OpenFile(name, flag, 0o600)
		},
	}
}

func (d *diskTrouble) hangPart() string {
	switch d.hangOn {
	case "segment":
		return ".ts.tmp"
	case "opening": // the record that follows a segment's first bytes
		return "journal"
	}
	return d.hangOn
}

func (d *diskTrouble) set(err error) {
	if err == nil {
		d.err.Store(nil)
	} else {
		d.err.Store(&err)
	}
}

func TestDiskTroubleTouchesNothingElse(t *testing.T) {
	for name, trouble := range map[string]error{"full": syscall.ENOSPC, "read-only": syscall.EROFS, "broken": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				var disk diskTrouble
				r.so.FS = disk.fs()
				r.start()
				e := r.publish("cam", 4000)
				e.run(20 * time.Second)
				disk.set(trouble)
				e.run(2 * time.Minute)
				if b := r.mirror.Behind()[0]; b.Segments > 1 {
					t.Errorf("behind: %+v", b)
				}
				if h := r.mirror.Health(); len(h) != 1 || h[0].Kind != "disk" || !strings.Contains(h[0].Text, "disk") {
					t.Errorf("health: %+v", h)
				}
				disk.set(nil)
				e.run(time.Minute)
				if h := r.mirror.Health(); len(h) != 0 {
					t.Errorf("health: %+v", h)
				}
				e.end()
				time.Sleep(20 * time.Second)
				r.settled(time.Minute)
				r.complete(100, 0)
			})
		})
	}
}

func TestHungDiskHoldsUpNothingElse(t *testing.T) {
	for _, where := range []string{"journal", "segment", "opening"} {
		t.Run(where, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				disk := diskTrouble{hangOn: where}
				r.so.FS = disk.fs()
				r.start()
				e := r.publish("cam", 4000)
				e.run(20 * time.Second)
				ch := make(chan struct{})
				disk.hang.Store(&ch)
				e.run(3 * time.Minute)
				if b := r.mirror.Behind()[0]; b.Segments > 1 {
					t.Errorf("behind: %+v", b)
				}
				s := r.reg.Timeline("live", "cam").Snapshot()
				if live := r.bucket.list(r.bucket.keys("live.m3u8")[0]); live.MediaSequence+uint64(len(live.Segments))+1 < s.Next() {
					t.Errorf("the live playlist in the bucket ends at %d, the origin's at %d", live.MediaSequence+uint64(len(live.Segments)), s.Next())
				}
				disk.hang.Store(nil)
				close(ch)
				e.run(10 * time.Second)
				e.end()
				time.Sleep(20 * time.Second)
				r.settled(time.Minute)
				r.complete(105, 0)
			})
		})
	}
}

// A disk that never answers again does not keep the server from ending; the server logs what may be lost.
func TestHungDiskAtTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		disk := diskTrouble{hangOn: "segment"}
		r.so.FS = disk.fs()
		r.start()
		e := r.publish("cam", 4000)
		e.run(20 * time.Second)
		ch := make(chan struct{})
		disk.hang.Store(&ch)
		e.run(20 * time.Second)
		e.end()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := r.mirror.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("sync: %v", err)
		}
		cancel()
		if err := r.stop(); err == nil || !strings.Contains(err.Error(), "disk does not answer") {
			t.Errorf("stop: %v", err)
		}
		r.stop = nil
		close(ch)
	})
}

// keptSome checks, a minute after an outage of five, that of the segments from that time the newest 30 to 55 were kept, and that the rest
// are declared gaps.
func (r *rig) keptSome(e *encoder) {
	r.t.Helper()
	e.run(time.Minute)
	gaps := int(r.mirror.Stats().Gaps.Load())
	if kept := 160 - gaps; kept < 30 || kept > 55 {
		r.t.Errorf("%d gaps", gaps)
	}
	e.end()
	time.Sleep(20 * time.Second)
	r.settled(time.Minute)
	r.complete(190, gaps)
}

// With both disk and bucket away the memory fills, and then the oldest segments are dropped and declared as gaps.
func TestNeitherDiskNorBucket(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var disk diskTrouble
		r.so.FS = disk.fs()
		r.o.MemoryBytes = 50 * 10_000
		r.start()
		e := r.publish("cam", 9000)
		e.run(20 * time.Second)
		disk.set(syscall.EIO)
		r.fault.set(errAway)
		e.run(5 * time.Minute)
		if got := r.mirror.HeldBytes(); got > r.o.MemoryBytes {
			t.Errorf("%d bytes are held, %d may", got, r.o.MemoryBytes)
		}
		disk.set(nil)
		r.fault.set(nil)
		r.keptSome(e)
	})
}

// A spool that is too small for an outage drops the oldest segments, declared as gaps, and keeps the newest.
func TestSpoolCapInAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.so.MaxBytes = 50 * 10_000
		r.o.MemoryBytes = 1 << 14
		r.start()
		e := r.publish("cam", 9000)
		e.run(20 * time.Second)
		r.fault.set(errAway)
		e.run(5 * time.Minute)
		if got := r.spool.Stats().Bytes.Load(); got > r.so.MaxBytes {
			t.Errorf("%d bytes in the spool", got)
		}
		r.fault.set(nil)
		r.keptSome(e)
	})
}

func TestWithoutASpool(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.so.Dir = ""
		r.start()
		e := r.publish("cam", 4000)
		e.run(time.Minute)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Second)
		r.complete(30, 0)
		if n := r.mirror.Stats().Recordings.Load(); n != 0 {
			t.Errorf("%d recordings are still at work", n)
		}
	})
}

// An orderly stop without a spool waits for what a timeline ended with a moment ago, though nobody has followed that yet.
func TestFlushTakesTheEnd(t *testing.T) {
	for range 20 {
		bubble(t, func(t *testing.T, r *rig) {
			r.so.Dir = ""
			r.start()
			e := r.publish("cam", 4000)
			e.run(time.Minute)
			r.settled(time.Second)
			r.reg.Close(true)
			r.settled(time.Second)
			r.complete(30, 0)
		})
	}
}

func TestReplicaGoesItsOwnWay(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		second := newLedger(t)
		broken := &fault{Putter: second}
		r.o.Replica = broken
		r.start()
		broken.set(errAway)
		e := r.publish("cam", 4000)
		e.run(2 * time.Minute)
		b := r.mirror.Behind()
		if b[0].Segments > 1 || b[1].Segments < 55 {
			t.Errorf("behind: %+v", b)
		}
		broken.set(nil)
		e.run(time.Minute)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		r.complete(90, 0)
		r.bucket = second
		r.complete(90, 0)
	})
}

// The live edge precedes the backlog: the live playlist is up to date long before an outage has been made up for.
func TestEdgeBeforeBacklog(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		slow := &slowStore{Putter: r.bucket, pause: 400 * time.Millisecond}
		r.fault.Putter = slow
		r.start()
		e := r.publish("cam", 4000)
		e.run(20 * time.Second)
		r.fault.set(errAway)
		e.run(20 * time.Minute)
		r.fault.set(nil)
		fresh := false
		for range 60 {
			e.run(2 * time.Second)
			live := r.bucket.list(r.bucket.keys("live.m3u8")[0])
			if live.MediaSequence+uint64(len(live.Segments))+1 >= r.reg.Timeline("live", "cam").Snapshot().Next() {
				fresh = true
				break
			}
		}
		if b := r.mirror.Behind()[0]; !fresh || b.Segments < 200 {
			t.Errorf("fresh %v with %d segments behind", fresh, b.Segments)
		}
		e.run(4 * time.Minute)
		if b := r.mirror.Behind()[0]; b.Segments > 2 {
			t.Errorf("behind: %+v", b)
		}
		e.end()
	})
}

type slowStore struct {
	storage.Putter
	pause time.Duration
}

func TestStreamsShareFairly(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.fault.set(errAway)
		a, b := r.publish("a", 4000), r.publish("b", 4000)
		for range 300 {
			a.frame()
			b.frame()
			time.Sleep(time.Second)
		}
		r.fault.Putter = &slowStore{Putter: r.bucket, pause: 500 * time.Millisecond}
		r.fault.set(nil)
		for r.mirror.Behind()[0].Segments > 150 {
			time.Sleep(time.Second)
		}
		na, nb := len(r.bucket.keysIn("live/streams/a/")), len(r.bucket.keysIn("live/streams/b/"))
		if na < nb*3/4 || nb < na*3/4 {
			t.Errorf("a has %d objects, b %d", na, nb)
		}
		a.end()
		b.end()
	})
}

// A new show under an old name has the stable entry, however late the old one's backlog comes.
func TestNewerRecordingOwnsTheEntry(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		e := r.publish("cam", 4000)
		r.fault.set(errAway)
		e.run(time.Minute)
		e.end()
		time.Sleep(30 * time.Second)
		e = r.publish("cam", 4000)
		e.run(10 * time.Second)
		second := r.reg.Timeline("live", "cam").Recording()
		r.fault.set(nil)
		e.run(time.Minute)
		r.settled(time.Minute)
		for _, key := range []string{"live/streams/cam.m3u8", "live/streams/cam_adaptive.m3u8"} {
			o, _ := r.bucket.object(key)
			if !strings.Contains(string(o.body), string(second)) {
				t.Errorf("%s: %s", key, o.body)
			}
		}
		if lists, keys := r.archives(); len(lists) != 2 || !lists[0].EndList || lists[1].EndList {
			t.Errorf("%v", keys)
		}
		e.end()
	})
}

func TestArchiveSplit(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.o.ArchiveSplit = 10 * time.Minute
		r.start()
		e := r.publish("cam", 4000)
		e.run(60 * time.Second)
		e.s.Close(errAway)
		e = r.publish("cam", 4000)
		e.run(34 * time.Minute)
		before := r.reg.Timeline("live", "cam").Snapshot()
		lists, keys := r.archives()
		if len(lists) != 4 {
			t.Fatalf("%v", keys)
		}
		next := uint64(0)
		for i, m := range lists[:3] {
			if !m.EndList || len(m.Segments) != 300 || m.MediaSequence != next {
				t.Errorf("%s: end %v, %d segments from %d", keys[i], m.EndList, len(m.Segments), m.MediaSequence)
			}
			next += uint64(len(m.Segments))
			if want := strings.Contains(keys[i], m.Segments[0].ProgramDateTime.UTC().Format("2006-01-02_15-04-05.000")); !want {
				t.Errorf("%s begins at %v", keys[i], m.Segments[0].ProgramDateTime)
			}
		}
		if lists[3].EndList || lists[3].MediaSequence != next {
			t.Errorf("the last: end %v from %d", lists[3].EndList, lists[3].MediaSequence)
		}
		// The past has left the journal, too.
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		e.s.Close(ingest.ErrShutdown)
		recovered := r.start()
		if len(recovered) != 1 || recovered[0].Base < 800 || recovered[0].Base > 900 {
			t.Fatalf("recovered from %d on", recovered[0].Base)
		}
		after := r.reg.Timeline("live", "cam").Snapshot()
		if was, is := before.Rows[before.First].DiscontinuitySequence, after.Rows[after.First].DiscontinuitySequence; was != 1 || is < was {
			t.Errorf("discontinuity sequence %d, then %d", was, is)
		}
		e = r.publish("cam", 4000)
		e.run(10 * time.Minute)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		lists, keys = r.archives()
		if len(lists) != 5 || !lists[3].EndList || !lists[4].EndList {
			t.Fatalf("%v", keys)
		}
	})
}

func TestBarrierTellsHowFarBehind(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		e := r.publish("cam", 4000)
		e.run(21 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := r.mirror.Barrier(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		r.fault.set(errAway)
		e.run(10 * time.Second)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		if err := r.mirror.Barrier(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "bucket 5 segments") {
			t.Error(err)
		}
		cancel()
		r.fault.set(nil)
		e.end()
	})
}

// A store that keeps failing for some seconds and answering for some is a few lines in the log, and everything arrives.
func TestStoreThatFlaps(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var log bytes.Buffer
		r.o.Log = slog.New(slog.NewTextHandler(&log, nil))
		r.start()
		e := r.publish("cam", 3000)
		for i := range 600 {
			if r.fault.set(nil); i/5%2 == 0 {
				r.fault.set(errAway)
			}
			e.frame()
			time.Sleep(time.Second)
		}
		r.fault.set(nil)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		r.complete(300, 0)
		fails, heals := strings.Count(log.String(), "uploads fail"), strings.Count(log.String(), "uploads succeed again")
		if fails == 0 || fails > 3 || heals != fails {
			t.Errorf("%d lines that uploads fail, %d that they succeed again:\n%s", fails, heals, &log)
		}
	})
}
