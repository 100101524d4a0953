package spool

import (
	"os"
	"path/filepath"
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
