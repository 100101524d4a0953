package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
)

// In which targets another server has the stream outlives the process, and a rewritten journal.
func TestStoodDown(t *testing.T) {
	var b Batch
	b.buf = append(b.buf, magic...)
	b.begin(testID)
	b.StoodDown(1)
	b.StoodDown(1)
	st, good, err := Read(b.buf)
	if err != nil || good != len(b.buf) || st.StoodDown != 1<<1 || len(st.Later) > 0 {
		t.Errorf("%+v, %d of %d bytes, %v", st, good, len(b.buf), err)
	}
	b.StoodDown(8) // there is no such target
	if st, _, err = Read(b.buf); err != nil || len(st.Damage) == 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// What this server had of a recording that another went on with is out of the way: put aside if somebody lacks it, else removed. The folder
// begins anew.
func TestDisplace(t *testing.T) {
	for _, finished := range []bool{false, true} {
		dir := t.TempDir()
		s := New(Options{Dir: dir})
		if err := s.Displace(testID); err != nil {
			t.Errorf("nothing is there: %v", err)
		}
		f := folder(t, s, &owner{})
		journalled(t, f, 3)
		for seq := range uint64(3) {
			write(t, f, seq, 1000)
		}
		if finished {
			if err := f.Finish(); err != nil {
				t.Fatal(err)
			}
		} else if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Displace(testID); err != nil {
			t.Fatal(err)
		}
		if got := present(s, 3); len(got) > 0 || s.Stats().Bytes.Load() != 0 || s.Stats().Files.Load() != 0 {
			t.Errorf("%v, %d bytes of %d files", got, s.Stats().Bytes.Load(), s.Stats().Files.Load())
		}
		aside, err := os.ReadDir(filepath.Join(dir, asideName, testID.App, "streams", testID.Stream, testID.Recording))
		if finished == (err == nil) || !finished && len(aside) != 4 {
			t.Errorf("finished %v: aside are %v, %v", finished, aside, err)
		}
		again := folder(t, s, &owner{})
		journalled(t, again, 4)
		write(t, again, 3, 500)
		if got := present(s, 4); len(got) != 1 || got[0] != 3 {
			t.Errorf("%v", got)
		}
	}
}

// What a spool may have of a recording is known without its disk, from the survey of the start and from what was made since.
func TestNever(t *testing.T) {
	dir := t.TempDir()
	first := New(Options{Dir: dir})
	old := folder(t, first, &owner{})
	journalled(t, old, 3)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	var broken atomic.Bool
	s := New(Options{Dir: dir, FS: FS{ReadDir: func(dir string) ([]fs.DirEntry, error) {
		if broken.Load() {
			return nil, syscall.EIO
		}
		return os.ReadDir(dir)
	}}})
	other := ID{App: testID.App, Stream: testID.Stream, Recording: "2001-01-01_00-00-00.000"}
	check := func(when string, id ID, has, never bool) {
		t.Helper()
		broken.Store(true)
		if got := s.Never(id); got != never {
			t.Errorf("%s: never %v", when, got)
		}
		if got, err := s.Has(id); got || !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: on a broken disk: %v, %v", when, got, err)
		}
		broken.Store(false)
		if got, err := s.Has(id); got != has || err != nil {
			t.Errorf("%s: %v, %v", when, got, err)
		}
	}
	check("before it was looked", other, false, false)
	if _, err := s.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("that was there", testID, true, false)
	check("that was not", other, false, true)
	f, err := s.Folder(other, &owner{})
	if err != nil {
		t.Fatal(err)
	}
	check("not written to", other, false, true)
	journalled(t, f, 3)
	check("that was made", other, true, false)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Displace(other); err != nil {
		t.Fatal(err)
	}
	check("put aside", other, false, true)
	// Something else where a folder has to be: none is there.
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inTheWay := ID{App: "file", Stream: "cam", Recording: other.Recording}
	if has, err := s.Has(inTheWay); has || err != nil || s.Displace(inTheWay) != nil {
		t.Errorf("%v, %v", has, err)
	}
	// A start that did not see everything knows nothing.
	blind := New(Options{Dir: dir, FS: FS{ReadDir: func(string) ([]fs.DirEntry, error) { return nil, syscall.EIO }}})
	if _, err := blind.Recover(t.Context()); err == nil || blind.Never(inTheWay) {
		t.Errorf("%v", err)
	}
}
