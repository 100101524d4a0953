//go:build unix

package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// oddities are things that may have a file's name without being a file, or without being the file that was written.
var oddities = map[string]struct {
	make func(path string) error
	says string
}{
	"pipe":      {func(p string) error { return syscall.Mkfifo(p, 0o600) }, "a pipe"},
	"device":    {func(p string) error { return os.Symlink("/dev/zero", p) }, "a symbolic link"},
	"link":      {func(p string) error { return os.Symlink("000000000.ts", p) }, "a symbolic link"},
	"directory": {func(p string) error { return os.Mkdir(p, 0o700) }, "a directory"},
	"truncated": {func(p string) error { return os.WriteFile(p, make([]byte, 999), 0o600) }, "999 bytes instead of 1000"},
	"4 GB":      {func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Truncate(p, 4<<30)) }, "4294967296 bytes instead of 1000"},
}

// What has a segment's name and is not the segment is reported, served to nobody, and left in place.
func TestSpoolTakesNothingElseForASegment(t *testing.T) {
	for name, odd := range oddities {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := folder(t, New(Options{Dir: dir}), &owner{})
			journalled(t, f, 3)
			write(t, f, 0, 1000)
			path := f.path(segmentFile(1))
			if err := errors.Join(odd.make(path), odd.make(f.path(".000000003.ts.tmp")), f.Close()); err != nil {
				t.Fatal(err)
			}
			s := New(Options{Dir: dir})
			all, err := s.Recover(context.Background())
			if len(all) != 1 || err != nil || !strings.Contains(all[0].Wrong, odd.says) {
				t.Fatalf("%v, %v", all, err)
			}
			if st := all[0].State; !st.Rows[0].File || st.Rows[1].File {
				t.Errorf("%+v", st.Rows)
			}
			if got := s.Stats().Bytes.Load(); got != 1000 {
				t.Errorf("%d bytes are counted", got)
			}
			if have := present(s, 4); !slices.Equal(have, []uint64{0}) {
				t.Errorf("given out: %d", have)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Error(err)
			}
		})
	}
}

// The same in place of the spool's own files, where it keeps nobody from writing.
func TestSpoolWritesBesideOddities(t *testing.T) {
	for name, odd := range oddities {
		if name == "directory" {
			continue // only removing what may be in it would make room
		}
		t.Run(name, func(t *testing.T) {
			f := folder(t, New(Options{Dir: t.TempDir()}), &owner{})
			if err := f.make(); err != nil {
				t.Fatal(err)
			}
			victim := filepath.Join(f.dir, "000000000.ts")
			if err := errors.Join(os.WriteFile(victim, []byte("mine"), 0o600), odd.make(f.path(rewriteName))); err != nil {
				t.Fatal(err)
			}
			journalled(t, f, 1)
			if got, err := os.ReadFile(victim); err != nil || string(got) != "mine" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// A journal of any size is read within bounds, or not at all.
func TestSpoolReadsNoJournalWithoutEnd(t *testing.T) {
	dir := t.TempDir()
	f := folder(t, New(Options{Dir: dir}), &owner{})
	journalled(t, f, 2)
	write(t, f, 0, 1000)
	if err := errors.Join(f.Close(), os.Truncate(f.path(journalName), 4<<30)); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Dir: dir})
	all, err := s.Recover(context.Background())
	if len(all) != 0 || err == nil || !strings.Contains(err.Error(), "too large") || len(s.Aside()) != 1 {
		t.Errorf("%d recordings, %v, put aside: %v", len(all), err, s.Aside())
	}
}

// Files with numbers far from all others do not belong to a recording, and change nothing about it.
func TestSpoolLeavesStrayNumbersAlone(t *testing.T) {
	const far = "000900000000.ts"
	for name, c := range map[string]struct {
		journal    bool
		files      []string
		base, next uint64
	}{
		"behind a journal":         {true, []string{"000000000.ts", "000000001.ts", "000050000.ts", "900000000.ts"}, 0, 2},
		"one that was opened":      {true, []string{"000000000.ts", "000000001.ts", "000000002.ts"}, 0, 3},
		"behind, without journal":  {false, []string{"000000007.ts", "000000008.ts", "4611686018427387903.ts"}, 7, 9},
		"before, without journal":  {false, []string{"000000000.ts", "900000000.ts", "900000001.ts"}, 900000000, 900000002},
		"many, each a little more": {false, []string{"000000000.ts", "000060000.ts", "000120000.ts", "000180000.ts"}, 0, 60001},
		"names that are no number": {true, []string{"000000000.ts", "1.ts", far, "0x0000001.ts", "-00000001.ts", "18446744073709551616.ts"}, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := folder(t, New(Options{Dir: dir}), &owner{})
			journalled(t, f, 2)
			for _, name := range c.files {
				if err := os.WriteFile(f.path(name), make([]byte, 1000), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if !c.journal {
				if err := os.Remove(f.path(journalName)); err != nil {
					t.Fatal(err)
				}
			}
			s := New(Options{Dir: dir})
			all, err := s.Recover(context.Background())
			if len(all) != 1 || err != nil {
				t.Fatalf("%d recordings, %v", len(all), err)
			}
			if st := all[0].State; st.Base != c.base || st.Next != c.next || uint64(len(st.Rows)) != c.next-c.base {
				t.Errorf("from %d to %d, %d rows", st.Base, st.Next, len(st.Rows))
			}
			for _, name := range c.files {
				if _, err := os.Lstat(f.path(name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A segment that was changed behind the spool's back is served to nobody; nor is one that is in no journal.
func TestOpenGivesNoFileOfAnotherSize(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Dir: dir})
	f := folder(t, s, &owner{})
	journalled(t, f, 2)
	write(t, f, 0, 1000)
	write(t, f, 1, 1000)
	if err := errors.Join(os.Truncate(f.path(segmentFile(0)), 10), os.WriteFile(f.path(segmentFile(2)), make([]byte, 1000), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Open(key(0)); !errors.Is(err, ErrChanged) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a truncated segment: %v", err)
	}
	if _, _, err := s.Open(key(2)); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrChanged) {
		t.Errorf("a file of somebody else: %v", err)
	}
	if have := present(s, 3); !slices.Equal(have, []uint64{1}) || s.Stats().Changed.Load() != 2 {
		t.Errorf("given out: %d, counted: %d", have, s.Stats().Changed.Load())
	}
	if in, size, err := s.OpenUnchecked(key(2)); err != nil || size != 1000 {
		t.Errorf("%d bytes, %v", size, err)
	} else {
		in.Close()
	}
	// A finished recording is known by its own journal, before and after everything is counted.
	var b Batch
	b.Ended()
	if err := errors.Join(f.Append(&b), f.Finish()); err != nil {
		t.Fatal(err)
	}
	s = New(Options{Dir: dir})
	for _, when := range []string{"before", "after"} {
		if have := present(s, 3); !slices.Equal(have, []uint64{1}) {
			t.Errorf("%s: given out: %d", when, have)
		}
		if err := s.Inventory(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if s.Stats().Bytes.Load() != 1000 || s.Stats().Files.Load() != 3 {
		t.Errorf("%d bytes, %d files", s.Stats().Bytes.Load(), s.Stats().Files.Load())
	}
}

// Many requests for segments of one finished recording right after a start all succeed.
func TestOpenTogetherAfterAStart(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Dir: dir})
	f := folder(t, s, &owner{})
	journalled(t, f, 2)
	write(t, f, 0, 1000)
	write(t, f, 1, 1000)
	var b Batch
	b.Ended()
	if err := errors.Join(f.Append(&b), f.Finish()); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		reading, answer := make(chan struct{}), make(chan struct{})
		s := New(Options{Dir: dir, FS: FS{ReadDir: func(dir string) ([]fs.DirEntry, error) {
			close(reading)
			<-answer
			return os.ReadDir(dir)
		}}})
		have := make(chan error, 2)
		ask := func(seq uint64) {
			in, _, err := s.Open(key(seq))
			if err == nil {
				err = in.Close()
			}
			have <- err
		}
		go ask(0)
		<-reading
		go ask(1)
		synctest.Wait()
		close(answer)
		for range 2 {
			if err := <-have; err != nil {
				t.Error(err)
			}
		}
	})
}

// More doubtful writes than are remembered are no damage.
func TestReadManyDoubts(t *testing.T) {
	var b Batch
	b.begin(ID{"live", "cam", "2026-11-28_18-00-00.000"})
	for i := range 3 * maxDoubts / 2 {
		b.Doubt(Doubt{Key: fmt.Sprint("live/streams/cam-", i, ".m3u8")})
	}
	st, _, err := Read(append([]byte(magic), b.buf...))
	if err != nil || len(st.Damage) > 0 || len(st.Doubts) == 0 || len(st.Doubts) > maxDoubts {
		t.Errorf("%v, damage %v, %d doubts", err, st.Damage, len(st.Doubts))
	}
}

// A second server's lock is our own file; through a link it would be created wherever that points to.
func TestLockFollowsNoLink(t *testing.T) {
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "made")
	if err := os.Symlink(other, filepath.Join(dir, lockFile)); err != nil {
		t.Fatal(err)
	}
	if unlock, err := Lock(dir); err == nil {
		unlock()
		t.Error("locked")
	}
	if _, err := os.Lstat(other); err == nil {
		t.Error("the link's target was made")
	}
}

// The cost of reading a journal depends on its size, whatever it says.
func TestReadingAHostileJournalIsBounded(t *testing.T) {
	head := func() *Batch {
		b := &Batch{buf: []byte(magic)}
		b.begin(testID)
		return b
	}
	row := func(b *Batch, seq uint64) { b.Row(Row{Sequence: seq, Start: began, Duration: 180000, Size: 1000}) }
	for name, build := range map[string]func() []byte{
		"each row leaves out as many as it may": func() []byte {
			b := head()
			for n := range uint64(20000) {
				row(b, n*(maxSkip-1))
			}
			return b.buf
		},
		"runs over all rows": func() []byte {
			b := head()
			for n := range uint64(100000) {
				row(b, n)
			}
			for range 200000 {
				b.Confirmed(0, 0, 1<<62)
				b.Dropped(0, 1<<62)
			}
			return b.buf
		},
		"many playlists": func() []byte {
			b := head()
			for n := range uint64(300000) {
				b.Split(Split{First: n, Name: "x"})
				b.Split(Split{First: 0, Name: "x"})
				b.Final(0, n)
			}
			return b.buf
		},
		"damage before each row": func() []byte {
			b := head()
			for n := range uint64(200000) {
				b.buf = append(b.buf, 0xff)
				row(b, n)
			}
			return b.buf
		},
		"what might be a record at each byte": func() []byte {
			return append(head().buf, bytes.Repeat([]byte{recLast}, 8<<20)...)
		},
		"later records": func() []byte {
			b := head()
			for range 500000 {
				b.seal(b.open(200))
			}
			return b.buf
		},
		"zeros": func() []byte { return append(head().buf, make([]byte, 32<<20)...) },
	} {
		t.Run(name, func(t *testing.T) {
			data := build()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			s, _, err := Read(data)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			t.Logf("%d bytes: %v, %d MB, %d rows, %d playlists", len(data), took, (after.TotalAlloc-before.TotalAlloc)>>20, len(s.Rows), len(s.Splits))
			if err != nil {
				t.Error(err)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 256<<20 {
				t.Errorf("%d MB were taken", grown>>20)
			}
			if took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// What no encoder can have sent appears in no playlist.
func TestReadBelievesNoMetaThatCannotBe(t *testing.T) {
	for _, m := range []Meta{
		{TargetDuration: -1}, {Window: 1 << 40}, {Codecs: "avc1\"\n#EXT-X-KEY:METHOD=NONE"}, {VideoCodec: "\x1b[2J"}, {FrameRate: -1},
		{AudioCodec: strings.Repeat("a", 1000)},
	} {
		b := Batch{buf: []byte(magic)}
		b.begin(testID)
		b.Meta(m)
		if s, _, err := Read(b.buf); err != nil || len(s.Damage) == 0 || s.Meta != (Meta{}) {
			t.Errorf("%+v: %+v, %v", m, s.Meta, err)
		}
	}
	for _, r := range []Row{{Duration: maxDuration + 1, Size: 1}, {Duration: 1, Size: maxSegment + 1}} {
		b := Batch{buf: []byte(magic)}
		b.begin(testID)
		b.Row(r)
		if s, _, err := Read(b.buf); err != nil || len(s.Rows) != 0 {
			t.Errorf("%+v: %+v, %v", r, s.Rows, err)
		}
	}
}

// One message reports many things without listing them all.
func TestTellIsBounded(t *testing.T) {
	var list []string
	for n := range 1000 {
		list = append(list, fmt.Sprint(n))
	}
	if got := tell(list); got != "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 990 more" {
		t.Error(got)
	}
}
