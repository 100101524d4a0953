package held

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// segment is one that came now.
func segment(name string, size int) *Segment {
	body := bytes.Repeat([]byte(name[:1]), size)
	return &Segment{
		App: "live", Stream: "show", Host: "192.0.2.1", User: "ab", File: name, At: time.Now(), Size: int64(size), CRC32C: crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)), Body: body,
	}
}

// shelf is a Box with its Run, and its log.
type shelf struct {
	*Box
	t    *testing.T
	dir  string
	log  *bytes.Buffer
	stop func()
}

func open(t *testing.T, dir string, opts ...func(*Options)) *shelf {
	t.Helper()
	s := &shelf{t: t, dir: dir, log: &bytes.Buffer{}}
	o := Options{Dir: dir, Now: time.Now, Log: slog.New(slog.NewTextHandler(s.log, nil))}
	for _, fn := range opts {
		fn(&o)
	}
	s.Box = New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// files are the names on disk.
func (s *shelf) files() (names []string) {
	s.t.Helper()
	all, err := os.ReadDir(filepath.Join(s.dir, ".held"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// takeUp takes up what is there; known says which files the spool has.
func (s *shelf) takeUp(known ...string) (f Found, got []*Segment, done []func(bool)) {
	s.t.Helper()
	f, err := s.TakeUp(s.t.Context(), time.Minute, func(g *Segment) bool {
		return strings.Contains(" "+strings.Join(known, " ")+" ", " "+g.File+" ")
	}, func(g *Segment, d func(bool)) bool {
		got, done = append(got, g), append(done, d)
		return true
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return f, got, done
}

// TestKeptUntilDone: a segment is on disk when Keep has returned, and until it is not needed: at once, or, where it was passed on, some seconds
// later. What nobody gave up is there for the next process, byte for byte; what was passed on is gone when Run has ended.
func TestKeptUntilDone(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, dir)
		var done []func(bool)
		for i := range 4 {
			done = append(done, s.Keep(segment(fmt.Sprintf("%d.ts", i), 1000)))
			if n := len(s.files()); n != i+1 {
				t.Fatalf("%d files after %d segments", n, i+1)
			}
		}
		done[0](false)
		done[1](true)
		done[1](false) // the first call counts
		synctest.Wait()
		if n := len(s.files()); n != 3 || s.Stats.Files.Load() != 3 || s.Stats.Bytes.Load() != 3000 {
			t.Errorf("%d files, where one was given up and one passed on; %d, %d bytes", n, s.Stats.Files.Load(), s.Stats.Bytes.Load())
		}
		time.Sleep(passedFor)
		synctest.Wait()
		if n := len(s.files()); n != 2 {
			t.Errorf("%d files, where one was given up and one passed on a while ago", n)
		}
		done[2](true)
		s.stop()
		if n := len(s.files()); n != 1 {
			t.Errorf("%d files after the end", n)
		}
		next := open(t, dir)
		found, got, again := next.takeUp()
		if want := segment("3.ts", 1000); found != (Found{Taken: 1}) || len(got) != 1 || !bytes.Equal(got[0].Body, want.Body) ||
			got[0].File != "3.ts" || got[0].App != "live" || got[0].Stream != "show" || got[0].Host != want.Host || got[0].User != want.User || got[0].At.Sub(want.At).Abs() > time.Minute {
			t.Fatalf("%+v, %+v", found, got)
		}
		next.Keep(segment("4.ts", 10))
		again[0](false)
		synctest.Wait()
		if n := len(next.files()); n != 1 || next.Stats.Bytes.Load() != 10 {
			t.Errorf("%d files, %d bytes", n, next.Stats.Bytes.Load())
		}
	})
}

// TestTakeUp: what the spool has, what is old, and what is not as it was written is removed; what is none of ours, or of another version, is
// left alone. The newest comes first.
func TestTakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no disk is slow in it
		dir := t.TempDir()
		s := open(t, dir)
		old := segment("old.ts", 10)
		old.At = old.At.Add(-2 * time.Minute)
		wrong := segment("wrong.ts", 10)
		wrong.CRC32C++
		for _, g := range []*Segment{segment("a.ts", 10), segment("b.ts", 10), old, wrong, segment("short.ts", 10), segment("c.ts", 10)} {
			s.Keep(g)
		}
		s.stop()
		cut := filepath.Join(dir, ".held", s.files()[4])
		if err := os.Truncate(cut, 100); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"0000000000000001.held": "", "0000000000000002.held": "hlsorigin held 1\n{", "0000000000000003.held": "hlsorigin held 2\n", "README": "mine", "1.held": ""} {
			if err := os.WriteFile(filepath.Join(dir, ".held", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(dir, ".held", "0000000000000004.held"), 0o700); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir)
		var got []string
		f, err := s.TakeUp(t.Context(), time.Minute, func(g *Segment) bool { return g.File == "b.ts" }, func(g *Segment, _ func(bool)) bool {
			got = append(got, g.File)
			return true
		})
		if f != (Found{Taken: 2, Known: 1, Old: 1, Damaged: 4, Left: 1}) || !errors.Is(err, errLater) || fmt.Sprint(got) != "[c.ts a.ts]" {
			t.Errorf("%+v, %v, %v", f, err, got)
		}
		if n := len(s.files()); n != 6 {
			t.Errorf("left: %v", s.files())
		}
	})
}

// TestFind: what the last process left is found by size and checksum, where its bytes are those.
func TestFind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no disk is slow in it
		dir := t.TempDir()
		s := open(t, dir)
		a, b, wrong := segment("a.ts", 10), segment("b.ts", 10), segment("wrong.ts", 10)
		wrong.CRC32C++
		for _, g := range []*Segment{a, b, wrong} {
			s.Keep(g)
		}
		s.stop()
		s = open(t, dir)
		if got := s.Find(10, b.CRC32C); !bytes.Equal(got, b.Body) {
			t.Errorf("%q", got)
		}
		if s.Find(9, a.CRC32C) != nil || s.Find(10, wrong.CRC32C) != nil || s.Find(10, 1) != nil {
			t.Error("another is found")
		}
		if f, _, _ := s.takeUp("b.ts"); f != (Found{Taken: 1, Known: 1, Damaged: 1}) {
			t.Errorf("%+v", f)
		}
		if open(t, t.TempDir()).Find(10, b.CRC32C) != nil {
			t.Error("there is nothing")
		}
	})
}

// TestNotWanted: what nobody takes is removed, and what there is no room for.
func TestNotWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no disk is slow in it
		dir := t.TempDir()
		s := open(t, dir)
		for _, name := range []string{"a.ts", "b.ts", "c.ts"} {
			s.Keep(segment(name, 10))
		}
		s.stop()
		s = open(t, dir, func(o *Options) { o.MaxBytes = 2 * (10 + fileBytes) })
		f, err := s.TakeUp(t.Context(), time.Minute, func(*Segment) bool { return false }, func(g *Segment, _ func(bool)) bool { return g.File == "c.ts" })
		if f != (Found{Taken: 1, Old: 2}) || err != nil {
			t.Errorf("%+v, %v", f, err)
		}
		s.stop()
		if n := len(s.files()); n != 1 || s.Stats.Files.Load() != 1 {
			t.Errorf("%v, %d", s.files(), s.Stats.Files.Load())
		}
	})
}

// TestBound: beyond the bound what was passed on goes first, and then nothing is kept.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no disk is slow in it
		s := open(t, t.TempDir(), func(o *Options) { o.MaxBytes = 3 * (10 + fileBytes) })
		a, b := s.Keep(segment("a.ts", 10)), s.Keep(segment("b.ts", 10))
		s.Keep(segment("c.ts", 10))
		if s.Keep(segment("d.ts", 10)) != nil || s.Stats.Failed.Load() != 1 {
			t.Error("more is kept than may be")
		}
		b(true)
		if s.Keep(segment("e.ts", 10)) == nil {
			t.Error("what was passed on made no room")
		}
		a(false)
		if s.Keep(segment("f.ts", 10)) == nil {
			t.Error("what was given up made no room")
		}
	})
}

// TestBadDisk: a disk that fails, is full or hangs costs a moment at most, once; it is said once when that begins, and once when it ends, and
// nothing is left of what it did not take.
func TestBadDisk(t *testing.T) {
	for name, bad := range map[string]error{"full": syscall.ENOSPC, "broken": syscall.EIO, "hangs": nil} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				hang, works, room := make(chan struct{}), atomic.Bool{}, int64(0)
				s := open(t, dir, func(o *Options) {
					o.Write = func(f *os.File, p []byte) error {
						if !works.Load() && bad != nil {
							return bad
						} else if !works.Load() {
							<-hang
						}
						_, err := f.Write(p)
						return err
					}
					o.Room = func(n int64) bool { room += n; return false }
				})
				began := time.Now()
				for range 20 {
					if done := s.Keep(segment("a.ts", 10)); done != nil {
						done(false)
					}
				}
				if took := time.Since(began); took > 2*patience {
					t.Errorf("20 segments waited for %v", took)
				}
				if bad == syscall.ENOSPC && room == 0 {
					t.Error("no room was made")
				}
				works.Store(true)
				close(hang)
				synctest.Wait()
				if n := len(s.files()); n != 0 || s.Stats.Failed.Load() != 20 || s.Stats.Files.Load() != 0 {
					t.Errorf("%d files; %d failed; %d", n, s.Stats.Failed.Load(), s.Stats.Files.Load())
				}
				if done := s.Keep(segment("b.ts", 10)); done == nil || len(s.files()) != 1 {
					t.Error("the disk works again, and nothing is kept")
				}
				s.stop()
				if said := s.log.String(); strings.Count(said, "level=ERROR") != 1 || strings.Count(said, "again") != 1 {
					t.Errorf("the log: %s", said)
				}
			})
		})
	}
}

// TestSync: a file is brought to the disk before Keep returns where that is asked for, and only there; where it fails, nothing is kept.
func TestSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no disk is slow in it
		for _, always := range []bool{false, true} {
			var fails error
			n := 0
			s := open(t, t.TempDir(), func(o *Options) {
				o.Sync, o.Fsync = always, func(*os.File) error { n++; return fails }
			})
			kept := s.Keep(segment("a.ts", 10)) != nil
			fails = syscall.EIO
			if again := s.Keep(segment("b.ts", 10)) != nil; !kept || always != (n == 2) || always == again || len(s.files()) == 2 == always {
				t.Errorf("always: %v: synced %d times; kept: %v, %v; %d files", always, n, kept, again, len(s.files()))
			}
		}
	})
}

// TestRoom: on a full disk room is made, and the segment is kept.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no disk is slow in it
		full := true
		s := open(t, t.TempDir(), func(o *Options) {
			o.Write = func(f *os.File, p []byte) error {
				if full {
					return syscall.ENOSPC
				}
				_, err := f.Write(p)
				return err
			}
			o.Room = func(int64) bool { full = false; return true }
		})
		if s.Keep(segment("a.ts", 10)) == nil || s.Stats.Failed.Load() != 0 {
			t.Error("it is not kept")
		}
	})
}

// TestFolderGone: somebody removes the folder meanwhile.
func TestFolderGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no disk is slow in it
		dir := t.TempDir()
		s := open(t, dir)
		done := s.Keep(segment("a.ts", 10))
		if err := os.RemoveAll(filepath.Join(dir, ".held")); err != nil {
			t.Fatal(err)
		}
		done(false)
		if s.Keep(segment("b.ts", 10)) == nil || len(s.files()) != 1 {
			t.Error("it is not kept")
		}
		s.stop()
		if s.Stats.Failed.Load() != 0 || s.Stats.Files.Load() != 1 {
			t.Errorf("%d failed, %d files", s.Stats.Failed.Load(), s.Stats.Files.Load())
		}
	})
}

// FuzzRead: no file makes a start fail, or take more memory than the file is long.
func FuzzRead(f *testing.F) {
	g := segment("a.ts", 10)
	head, err := g.head()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(head, g.Body...))
	f.Add([]byte(magic + `{"bytes":9223372036854775807}` + "\n"))
	f.Add([]byte("hlsorigin held 12\n"))
	b := New(Options{Dir: f.TempDir(), Now: time.Now})
	if err := os.MkdirAll(b.dir(), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if err := os.WriteFile(b.path("a"), file, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := b.read("a", func(*Segment) bool { return true })
		if err == nil && (int64(len(s.Body)) != s.Size || !bytes.HasSuffix(file, s.Body)) {
			t.Errorf("%+v", s)
		}
	})
}
