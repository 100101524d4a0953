package mirror_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

var errDead = errors.New("the process is dead")

// life is one life of a server. Its disk and its bucket count operations, and at a given count the process dies in the middle of one. The
// disk knows what a power failure would leave.
type life struct {
	t      *testing.T
	bucket storage.Putter

	mu      sync.Mutex
	rnd     *rand.Rand
	ops     int // until death; negative: never
	dead    bool
	reused  uint64
	content map[uint64][]byte            // what was synced of each inode
	names   map[string]map[string]uint64 // what was synced of each directory; 0: a directory
}

func newLife(t *testing.T, bucket storage.Putter, rnd *rand.Rand, ops int) *life {
	return &life{t: t, bucket: bucket, rnd: rnd, ops: ops, content: map[uint64][]byte{}, names: map[string]map[string]uint64{}}
}

// step counts one operation; dies reports that the process dies in this one. l.mu is held.
func (l *life) step() (dies bool, err error) {
	if l.dead {
		return false, errDead
	}
	l.ops--
	l.dead = l.ops == 0
	return l.dead, nil
}

func (l *life) isDead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// Put dies before or after the bucket has the object.
func (l *life) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	l.mu.Lock()
	dies, err := l.step()
	before := dies && l.rnd.IntN(2) == 0
	l.mu.Unlock()
	if err != nil || before {
		return "", errDead
	}
	return l.bucket.Put(ctx, key, body, a)
}

func (l *life) Stat(ctx context.Context, key string) (storage.Object, error) {
	if l.isDead() {
		return storage.Object{}, errDead
	}
	return l.bucket.(storage.Getter).Stat(ctx, key)
}

func (l *life) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	if l.isDead() {
		return nil, storage.Object{}, errDead
	}
	return l.bucket.(storage.Getter).Get(ctx, key, off, n)
}

func (l *life) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	if l.isDead() {
		return errDead
	}
	return l.bucket.(storage.Lister).List(ctx, prefix, fn)
}

// do carries out an operation, or dies instead.
func (l *life) do(op func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	dies, err := l.step()
	if err != nil || dies && l.rnd.IntN(2) == 0 {
		return errDead
	}
	return op()
}

// born tells a new file from an older one whose inode number is reused.
func (l *life) born(ino uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reused++
	other := 1<<63 + l.reused
	if old, ok := l.content[ino]; ok {
		l.content[other] = old
		delete(l.content, ino)
	}
	for _, names := range l.names {
		for name, n := range names {
			if n == ino {
				names[name] = other
			}
		}
	}
}

func inode(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

func (l *life) fs() spool.FS {
	return spool.FS{
		Open: func(name string, flag int) (f *os.File, err error) {
			if flag == os.O_RDONLY {
				return os.Open(name)
			}
			flag = flag&^os.O_WRONLY | os.O_RDWR // Sync reads what it keeps
			_, missing := os.Lstat(name)
			err = l.do(func() error { f, err = os.OpenFile(name, flag, 0o600); return err })
			if info, e := os.Lstat(name); err == nil && missing != nil && e == nil {
				l.born(inode(info))
			}
			return f, err
		},
		Write: func(f *os.File, p []byte, off int64) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			dies, err := l.step()
			if err != nil {
				return err
			}
			if dies {
				p = p[:l.rnd.IntN(len(p)+1)]
			}
			_, err = f.WriteAt(p, off)
			return err
		},
		Sync: func(f *os.File) error {
			return l.do(func() error {
				info, err := f.Stat()
				if err != nil {
					return err
				}
				p := make([]byte, info.Size())
				if _, err := f.ReadAt(p, 0); err != nil && err != io.EOF {
					return err
				}
				l.content[inode(info)] = p
				return nil
			})
		},
		SyncDir: func(dir string) error {
			return l.do(func() error {
				entries, err := os.ReadDir(dir)
				if err != nil {
					return err
				}
				names := map[string]uint64{}
				for _, e := range entries {
					info, err := e.Info()
					if err != nil {
						return err
					}
					names[e.Name()] = 0
					if !e.IsDir() {
						names[e.Name()] = inode(info)
					}
				}
				l.names[dir] = names
				return nil
			})
		},
		Mkdir:  func(dir string) error { return l.do(func() error { return os.Mkdir(dir, 0o700) }) },
		Rename: func(a, b string) error { return l.do(func() error { return os.Rename(a, b) }) },
		Remove: func(name string) error { return l.do(func() error { return os.Remove(name) }) },
	}
}

// page is what a disk writes completely or not at all.
const page = 4096

// powerCut writes into another directory what the disk may hold of dir: everything synced, and any part of what was not, page by page and
// name by name, in any order. The next life finds this on its disk.
func (l *life) powerCut(dir, to string, next *life) {
	now := map[uint64][]byte{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			now[inode(info)], err = os.ReadFile(name)
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.cutDir(dir, to, next, now)
}

func (l *life) cutDir(dir, to string, next *life, now map[uint64][]byte) {
	synced, kept := l.names[dir], map[string]uint64{}
	current := map[string]uint64{}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.t.Fatal(err)
	}
	for _, e := range entries {
		current[e.Name()] = 0
		if info, err := e.Info(); err == nil && !e.IsDir() {
			current[e.Name()] = inode(info)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(merged(synced, current))) {
		was, before := synced[name]
		is, after := current[name]
		if before && (!after || was == is || l.rnd.IntN(2) == 0) && (after || l.rnd.IntN(2) == 0) {
			kept[name] = was
		} else if after && (before || l.rnd.IntN(2) == 0) {
			kept[name] = is
		}
	}
	names := map[string]uint64{}
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		at, ino := filepath.Join(to, name), kept[name]
		if ino == 0 {
			if err := os.Mkdir(at, 0o700); err != nil {
				l.t.Fatal(err)
			}
			l.cutDir(filepath.Join(dir, name), at, next, now)
			names[name] = 0
			continue
		}
		body := l.pages(l.content[ino], now[ino])
		if err := os.WriteFile(at, body, 0o600); err != nil {
			l.t.Fatal(err)
		}
		info, err := os.Stat(at)
		if err != nil {
			l.t.Fatal(err)
		}
		names[name] = inode(info)
		next.content[inode(info)] = body
	}
	next.names[to] = names
}

// pages returns a file of which some of what was written since its sync is on disk. The rest is as it was, or zeros.
func (l *life) pages(synced, now []byte) []byte {
	size := len(synced)
	if len(now) > size && l.rnd.IntN(3) > 0 {
		size = len(now)
	} else if len(now) > size {
		size += l.rnd.IntN(len(now) - size + 1)
	}
	out := make([]byte, size)
	copy(out, synced)
	for at := 0; at < size; at += page {
		if end := min(at+page, size, len(now)); at < end && l.rnd.IntN(2) == 0 {
			copy(out[at:end], now[at:end])
		}
	}
	return out
}

func merged(a, b map[string]uint64) map[string]uint64 {
	all := maps.Clone(b)
	if all == nil {
		all = map[string]uint64{}
	}
	maps.Copy(all, a)
	return all
}

// adopt takes over what is on disk from a life that was killed without a power failure.
func (l *life) adopt(old *life) { l.content, l.names, l.reused = old.content, old.names, old.reused }

// crashes pushes through a number of deaths of the server, and checks what must then be true of the bucket.
func crashes(t *testing.T, seed uint64, rounds int, power bool, sync spool.Sync, also func(r *rig)) {
	bubble(t, func(t *testing.T, r *rig) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r.so.Sync = sync
		if also != nil {
			also(r)
		}
		bucket := r.fault
		r.bucket.whole = true
		boot := 0
		var old *life
		listed := map[string]int{} // viewers were shown it; the value is the life
		var sequence, discontinuity, ended uint64
		var recording segmenter.RecordingID
		lives := 0
		begin := func(ops int) *life {
			l := newLife(t, bucket, rnd, ops)
			if old != nil && power {
				boot++
				r.so.Dir = t.TempDir()
				old.powerCut(r.dir, r.so.Dir, l)
				r.dir = r.so.Dir
			} else if old != nil {
				l.adopt(old)
			}
			r.so.FS, r.o.Store, r.so.BootID = l.fs(), l, string(rune('a'+boot))
			r.start()
			lives++
			return l
		}
		look := func() {
			tl := r.reg.Timeline("live", "cam")
			if tl == nil {
				return
			}
			s := tl.Snapshot()
			if r.waits && !power && s.Recording == recording && s.Next() < ended {
				t.Errorf("viewers were shown what comes before %d, and are shown what comes before %d", ended, s.Next())
			}
			if len(s.Rows) == 0 {
				return
			}
			ended = s.Next()
			if s.Recording != recording {
				if recording != "" && (!power || sync != spool.Never) {
					t.Errorf("recording %s became %s", recording, s.Recording)
				}
				recording, sequence, discontinuity = s.Recording, 0, 0
			}
			first := s.Rows[s.First]
			if first.Sequence < sequence || first.DiscontinuitySequence < discontinuity {
				t.Errorf("origin goes back: from %d (disc %d) to %d (disc %d)", sequence, discontinuity, first.Sequence, first.DiscontinuitySequence)
			}
			sequence, discontinuity = first.Sequence, first.DiscontinuitySequence
			for _, e := range s.Rows[s.First:] {
				key := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: s.Recording, Sequence: e.Sequence}.String()
				if _, there := r.bucket.object(key); r.waits && !there && !e.Gap {
					t.Errorf("%s is listed, and not in the bucket", key)
				}
				if _, seen := listed[key]; !seen && !e.Gap {
					listed[key] = lives
				}
			}
		}
		for range rounds {
			old = begin(1 + rnd.IntN(400))
			if r.waits {
				look() // the first that comes after a restart
			}
			e := r.publish("cam", 3000)
			for range 300 {
				e.frame()
				time.Sleep(time.Second)
				if r.waits && old.isDead() {
					break // nor does it confirm anything any more
				}
				look()
				if old.isDead() {
					break
				}
			}
			old.mu.Lock()
			old.dead = true
			old.mu.Unlock()
			r.stop()
			time.Sleep(time.Duration(rnd.IntN(5)) * time.Second)
		}
		old = begin(-1)
		e := r.publish("cam", 3000)
		for range 40 {
			e.frame()
			time.Sleep(time.Second)
			look()
		}
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)

		lostIn := map[int]int{}
		lost := 0
		declared := map[string]bool{}
		gaps, next := 0, uint64(0)
		lists, keys := r.archives()
		for i, m := range lists {
			if whole := !power || sync != spool.Never; whole && m.MediaSequence != next {
				t.Errorf("%s begins with %d, the one before ends with %d", keys[i], m.MediaSequence, next)
			}
			next = m.MediaSequence + uint64(len(m.Segments))
			if !m.EndList && !(sync == spool.Never && power) { // if the spool lost everything, repair has to finish it
				t.Errorf("%s is not finished", keys[i])
			}
			for _, s := range m.Segments {
				if s.Gap {
					gaps++
					declared[path.Join(path.Dir(keys[i]), s.URI)] = true
				}
			}
		}
		for key, life := range listed {
			if _, ok := r.bucket.object(key); !ok {
				lost++
				lostIn[life]++
				if sync != spool.Never && !declared[key] {
					t.Errorf("%s is lost and not declared", key)
				}
			}
		}
		for life, n := range lostIn {
			if n > 1 && !(sync == spool.Never && power) {
				t.Errorf("life %d lost %d listed segments", life, n)
			}
		}
		// Each death may lose the segment that was just listed, and the number that was being written.
		if gaps > 2*rounds {
			t.Errorf("%d gaps after %d deaths", gaps, rounds)
		}
		if n := r.mirror.Uploaders()[0].Stats().Conflicts.Load(); n != 0 {
			t.Errorf("%d names with two contents", n)
		}
		t.Logf("%d lives, %d segments listed, %d of them lost, %d gaps, %d recordings, %d playlists checked", lives, len(listed), lost, gaps, len(lists), r.bucket.totals().checked)
	})
}

func TestKilledAtAnyMoment(t *testing.T) {
	for seed := range uint64(max(2, 10*scale())) {
		crashes(t, seed, 20, false, spool.Segment, nil)
	}
}

func TestKilledWithoutSync(t *testing.T) { crashes(t, 7, 20, false, spool.Never, nil) }

// Where viewers wait for the bucket, a death takes nothing from them that they were shown.
func TestKilledWhileViewersWait(t *testing.T) {
	for i, pause := range []time.Duration{0, 700 * time.Millisecond, 1300 * time.Millisecond} {
		for _, every := range []int{0, 3} { // one request in so many fails
			t.Run(fmt.Sprint(pause, " ", every), func(t *testing.T) {
				crashes(t, uint64(i), 20, false, spool.Segment, func(r *rig) {
					r.waits = true
					r.fault.Putter = slowLedger{r.bucket, pause}
					if every > 0 {
						r.fault.err, r.fault.every = errAway, every
					}
				})
			})
		}
	}
}

// slowLedger is a ledger that takes its time to take something.
type slowLedger struct {
	*ledger
	pause time.Duration
}

func (l slowLedger) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	return (&slowStore{Putter: l.ledger, pause: l.pause}).Put(ctx, key, body, a)
}

func TestKilledInAnOutage(t *testing.T) {
	for seed := range uint64(max(2, 10*scale())) {
		crashes(t, seed, 20, false, spool.Segment, func(r *rig) { r.fault.err, r.fault.every = errAway, 2 })
	}
}

// Old splits leave the journal while the server dies around them.
func TestKilledWhileSplitting(t *testing.T) {
	for seed := range uint64(max(2, 10*scale())) {
		for _, power := range []bool{false, true} {
			crashes(t, seed, 20, power, spool.Segment, func(r *rig) { r.o.ArchiveSplit = 20 * time.Second })
		}
	}
}

func TestPowerCutAtAnyMoment(t *testing.T) {
	for seed := range uint64(max(2, 10*scale())) { // 200 rounds at full length
		crashes(t, seed, 20, true, spool.Segment, nil)
	}
}

func TestPowerCutAlways(t *testing.T) { crashes(t, 5, 20, true, spool.Always, nil) }

// Without syncing, a power failure may lose what the system had not written, so a recording does not go on after one. Still no name gets
// two contents.
func TestPowerCutWithoutSync(t *testing.T) {
	for seed := range uint64(max(2, 10*scale())) {
		crashes(t, 9+seed, 20, true, spool.Never, func(r *rig) { r.odd = true })
	}
}

// An orderly stop is trusted under every policy, even across a reboot.
func TestRestartInGoodOrder(t *testing.T) {
	for _, sync := range []spool.Sync{spool.Always, spool.Segment, spool.Never} {
		t.Run(string(sync), func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.so.Sync = sync
				n := 0
				for i := range 4 {
					r.so.BootID = string(rune('a' + i))
					recovered := r.start()
					if want := min(i, 1); len(recovered) != want {
						t.Fatalf("start %d: %d recovered", i, len(recovered))
					}
					e := r.publish("cam", 4000)
					e.run(21 * time.Second)
					e.s.Close(ingest.ErrShutdown)
					n += 11
					if err := r.mirror.Sync(t.Context()); err != nil {
						t.Fatal(err)
					}
					r.settled(time.Second)
					if lists, _ := r.archives(); len(lists) != 1 || len(lists[0].Segments) != n || lists[0].EndList {
						t.Errorf("the bucket was not flushed: %d segments of %d", len(lists[0].Segments), n)
					}
					if err := r.stop(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(10 * time.Second)
				}
				r.start()
				time.Sleep(6 * time.Minute) // no publisher returns
				r.settled(time.Minute)
				r.complete(n, 0)
			})
		})
	}
}

// The mark of an orderly stop covers what came while the disk was at work, and is made again in a journal that is rewritten after it.
func TestMarkCoversAll(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var slow, failing atomic.Bool
		r.so.Sync, r.so.BootID = spool.Never, "a"
		r.so.FS.Write = func(f *os.File, p []byte, off int64) error {
			if !strings.Contains(f.Name(), "journal") {
				_, err := f.WriteAt(p, off)
				return err
			}
			if failing.Swap(false) {
				_ = os.Remove(filepath.Join(filepath.Dir(f.Name()), "journal"))
				return syscall.EIO
			}
			_, err := f.WriteAt(p, off)
			if slow.Swap(false) {
				time.Sleep(100 * time.Millisecond)
			}
			return err
		}
		for i, rewritten := range []bool{false, true} {
			if recovered := r.start(); len(recovered) != min(i, 1) {
				t.Fatalf("start %d: %d recovered", i, len(recovered))
			}
			e := r.publish("cam", 4000)
			e.run(20 * time.Second)
			slow.Store(true)
			e.frame() // the number that it opens is written
			time.Sleep(10 * time.Millisecond)
			if slow.Load() {
				t.Fatal("the journal is not being written")
			}
			r.fault.set(errAway)
			e.s.Close(ingest.ErrShutdown)
			if err := r.mirror.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			failing.Store(rewritten)
			r.fault.set(nil)
			r.settled(time.Minute)
			if failing.Load() {
				t.Fatal("the journal was not written any more")
			}
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r.so.BootID += "b"
		}
		if recovered := r.start(); len(recovered) != 1 {
			t.Fatalf("%d recovered", len(recovered))
		}
		r.settled(10 * time.Second)
	})
}

// A stop that comes while the disk is given a pause after an error tries once more: the journal may have gone with the error.
func TestStopTriesTheDiskOnceMore(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var failing atomic.Bool
		r.so.Sync, r.so.BootID = spool.Never, "a"
		r.so.FS.Write = func(f *os.File, p []byte, off int64) error {
			if strings.Contains(f.Name(), "journal") && failing.Swap(false) {
				_ = os.Remove(filepath.Join(filepath.Dir(f.Name()), "journal"))
				return syscall.EIO
			}
			_, err := f.WriteAt(p, off)
			return err
		}
		r.start()
		e := r.publish("cam", 4000)
		e.run(20 * time.Second)
		failing.Store(true)
		for failing.Load() {
			e.frame()
			time.Sleep(10 * time.Millisecond)
		}
		e.s.Close(ingest.ErrShutdown)
		if err := r.mirror.Sync(t.Context()); err == nil {
			t.Fatal("the disk does not fail")
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.so.BootID = "b"
		if recovered := r.start(); len(recovered) != 1 {
			t.Fatalf("%d recovered", len(recovered))
		}
		r.settled(time.Minute)
	})
}

// What a multivariant playlist says of a stream is in the journal, and so is the same before and after a restart.
func TestVariantSurvivesARestart(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		e := r.publish("cam", 4000)
		e.track.SPS = [][]byte{{0x67, 0x6e, 0x10, 0x15, 0xa6, 0xcb, 0x82, 0x83, 0x3f, 0x3e, 0x02, 0xd4, 0x24, 0x40, 0x25, 0, 0, 3, 0, 1, 0, 0, 3, 0, 0x64, 4}} // PQ
		e.sei = [][]byte{[]byte("\x06\x04\x0E\xB5\x00\x31GA94\x03\x41\xFF\xFD\x15\x20\xFF\x80")}
		e.run(21 * time.Second)
		e.s.Close(ingest.ErrShutdown)
		was := r.reg.Timeline("live", "cam").Snapshot()
		if v := was.Variant; v.VideoRange != "PQ" || !v.Captions.Sent || v.Captions.Channels != codec.CC3 || v.IFrameBandwidth == 0 {
			t.Errorf("%+v", v)
		}
		if err := r.mirror.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.settled(time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		recovered := r.start()
		if len(recovered) != 1 || recovered[0].Variant != was.Variant {
			t.Fatalf("%+v, was %+v", recovered, was.Variant)
		}
		if is := r.reg.Timeline("live", "cam").Snapshot(); string(is.Entry.Body) != string(was.Entry.Body) {
			t.Errorf("%s\nwas\n%s", is.Entry.Body, was.Entry.Body)
		}
	})
}

// What ended while the bucket was away is finished by the next start, without its publisher.
func TestBacklogSurvivesARestart(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.fault.set(errAway)
		e := r.publish("cam", 4000)
		e.run(time.Minute)
		e.end()
		time.Sleep(30 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if got := r.start(); len(got) != 0 {
			t.Errorf("%d recordings are restored that have ended", len(got))
		}
		r.fault.set(nil)
		time.Sleep(time.Minute)
		r.settled(time.Minute)
		r.complete(30, 0)
	})
}

// A file whose bytes are not what the journal says is not uploaded under its name.
func TestDamagedFileBecomesAGap(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		files := r.recordAway(4000)
		if err := os.WriteFile(files[3], []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(files[5]); err != nil {
			t.Fatal(err)
		}
		r.start()
		r.fault.set(nil)
		r.settled(time.Minute)
		r.complete(10, 2)
	})
}

// A recording whose live window is not full yet dies, and again before its publisher is back. The start of its playlist must not be guessed
// from its length: it would begin later, and then earlier again.
func TestYoungRecordingDoesNotGoBack(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		rnd := rand.New(rand.NewPCG(1, 1))
		for life := range 6 {
			l := newLife(t, r.fault, rnd, -1)
			r.so.FS, r.o.Store = l.fs(), l
			r.start()
			if life%3 == 0 {
				e := r.publish("cam", 3000)
				for range 4 { // a segment, and the beginning of the next
					e.frame()
					time.Sleep(time.Second)
				}
			}
			time.Sleep(time.Second)
			l.mu.Lock()
			l.dead = true
			l.mu.Unlock()
			_ = r.stop()
		}
		r.so.FS, r.o.Store = quick, r.fault
		r.start()
		r.publish("cam", 3000).run(10 * time.Second)
		r.settled(time.Minute)
	})
}

// A power failure loses confirmations that the journal had but the disk had not. What was confirmed is sent again, and meanwhile the
// timestamped playlist does not shrink.
func TestPowerCutTakesConfirmations(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		rnd := rand.New(rand.NewPCG(1, 1))
		r.so.Sync, r.o.ArchiveLag = spool.Segment, 20*time.Second
		l := newLife(t, r.fault, rnd, -1)
		r.so.FS, r.o.Store, r.so.BootID = l.fs(), l, "a"
		r.start()
		r.fault.set(errAway)
		r.publish("cam", 3000).run(21 * time.Second)
		r.fault.set(nil)
		time.Sleep(time.Minute) // everything is confirmed, and nothing makes the journal sync that
		if lists, keys := r.archives(); len(lists) != 1 || len(lists[0].Segments) < 5 {
			t.Fatal(keys)
		}
		l.mu.Lock()
		l.dead = true
		l.mu.Unlock()
		_ = r.stop()

		next := newLife(t, r.fault, rnd, -1)
		r.so.Dir = t.TempDir()
		l.powerCut(r.dir, r.so.Dir, next)
		r.so.FS, r.o.Store, r.so.BootID = next.fs(), &slowStore{next, time.Second}, "b"
		r.start()
		r.publish("cam", 3000).run(time.Minute)
		r.settled(time.Minute)
	})
}

// When the server is killed, what is on disk of the segment being written becomes a short segment, with its true length and time, for
// viewers and in the bucket: the first of a recording, one in the middle, and the first after a restart that took long.
func TestKilledLeavesAShortSegment(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.bucket.whole = true
		rnd := rand.New(rand.NewPCG(1, 1))
		var begun []time.Time
		for _, frames := range []int{2, 5, 3} { // a segment is two, of a second each
			l := newLife(t, r.fault, rnd, -1)
			r.so.FS, r.o.Store = l.fs(), l
			r.start()
			time.Sleep(30 * time.Second)
			e := r.publish("cam", 3000)
			begun = append(begun, time.Now())
			for i := range frames {
				e.frame()
				if i < frames-1 {
					time.Sleep(time.Second)
				}
			}
			time.Sleep(700 * time.Millisecond)
			l.mu.Lock()
			l.dead = true
			l.mu.Unlock()
			_ = r.stop()
		}
		r.so.FS, r.o.Store = quick, r.fault
		r.start()
		tl := r.reg.Timeline("live", "cam")
		if tl == nil {
			t.Fatal("the recording does not go on")
		}
		rows := tl.Snapshot().Rows
		e := r.publish("cam", 3000)
		e.run(4 * time.Second)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		total := 0
		for i, e := range rows {
			t.Logf("%d: %v, %v, discontinuity %v, gap %v", e.Sequence, e.Start, time.Duration(e.Duration)*100000/9, e.Discontinuity, e.Gap)
			if e.Gap {
				t.Errorf("%d is a gap", e.Sequence)
			}
			if i > 0 && e.Discontinuity {
				total++
			}
		}
		if len(rows) != 6 || total != 2 || rows[3].Duration != segmenter.Clock || rows[5].Duration != segmenter.Clock {
			t.Fatalf("%d rows, %d discontinuities", len(rows), total)
		}
		for i, first := range []int{0, 1, 4} { // of each life
			if d := rows[first].Start.Sub(begun[i]); d < -time.Second || d > 100*time.Millisecond {
				t.Errorf("life %d begins %v after its publisher", i, d)
			}
		}
		lists, _ := r.archives()
		for _, m := range lists {
			for i, s := range m.Segments {
				if s.Gap || i < len(rows) && (s.Duration != rows[i].Duration || s.Size != rows[i].Size) {
					t.Errorf("the bucket says of %d: %+v", i, s)
				}
			}
		}
	})
}

// The stand-in for a segment that a restart found lost reaches the bucket when the publisher goes on, and the next start does not take it
// for the segment, even if no row mentions the number any more.
func TestLostSegmentHasAStandIn(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		withCMAF(r)
		r.start()
		r.fault.set(errAway)
		e := r.publish("cam", 4000)
		e.run(40 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(r.dir, "live/streams/cam/*/*.ts"))
		newest := files[len(files)-1]
		if err := os.Remove(newest); err != nil {
			t.Fatal(err)
		}
		r.fault.set(nil)
		r.start()
		e = r.publish("cam", 4000)
		e.run(20 * time.Second)
		key, err := filepath.Rel(r.dir, newest)
		if err != nil {
			t.Fatal(err)
		}
		stands := func() {
			t.Helper()
			o := r.bucket.objects[filepath.ToSlash(key)]
			info, err := mpegts.Scan(bytes.NewReader(o.body))
			if err != nil || !info.Still() || info.Video.Count+info.Audio.Count == 0 || o.a.CacheControl != segmenter.AgeGap {
				t.Errorf("%d bytes with %q: %+v, %v", len(o.body), o.a.CacheControl, info, err)
			}
			fragment := path.Join(path.Dir(filepath.ToSlash(key)), "v", strings.TrimSuffix(path.Base(key), ".ts")+".m4s")
			if o, ok := r.bucket.object(fragment); !ok || len(o.body) == 0 || o.a.CacheControl != segmenter.AgeGap || o.a.ContentType != segmenter.TypeVideo {
				t.Errorf("%s: %d bytes, %+v", fragment, len(o.body), o.a)
			}
		}
		stands()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		// The journal is lost with all of its rows.
		if journals, _ := filepath.Glob(filepath.Join(r.dir, "live/streams/cam/*/journal*")); len(journals) > 0 {
			for _, j := range journals {
				if err := os.Truncate(j, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.odd = true
		r.start()
		r.settled(2 * time.Minute)
		stands()
		lists, _ := r.archives()
		for _, m := range lists {
			for _, s := range m.Segments {
				if strings.HasSuffix(s.URI, filepath.Base(newest)) && !s.Gap {
					t.Errorf("%s is listed as a segment of %d ticks", s.URI, s.Duration)
				}
			}
		}
	})
}
