//go:build unix

package spool

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What has the name of a journal and is not a file is never waited for, nor silently ignored: its folder is put aside.
func TestSpoolPutsAsideWhatHasNoFileForAJournal(t *testing.T) {
	for name, odd := range map[string]func(path string) error{
		"pipe":            func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory":       func(path string) error { return os.Mkdir(path, 0o700) },
		"link to nowhere": func(path string) error { return os.Symlink("nowhere", path) },
		"link to a pipe": func(path string) error {
			return errors.Join(syscall.Mkfifo(path+".pipe", 0o600), os.Symlink("journal.pipe", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := folder(t, New(Options{Dir: dir}), &owner{})
			journalled(t, f, 2)
			write(t, f, 0, 1000)
			if err := errors.Join(f.Close(), os.Remove(f.path(journalName)), odd(f.path(journalName))); err != nil {
				t.Fatal(err)
			}
			s := New(Options{Dir: dir})
			all, err := s.Recover(context.Background())
			if len(all) != 0 || err == nil || len(s.Aside()) != 1 {
				t.Fatalf("%d recordings, %v, put aside: %v", len(all), err, s.Aside())
			}
			if _, err := os.Lstat(filepath.Join(s.Aside()[0], "000000000.ts")); err != nil {
				t.Error(err)
			}
		})
	}
}

// The same holds for what has the name of a segment, complete or begun.
func TestSpoolTakesNoPipeForASegment(t *testing.T) {
	s := New(Options{Dir: t.TempDir()})
	f := folder(t, s, &owner{})
	journalled(t, f, 2)
	for _, name := range []string{segmentFile(0), ".000000001.ts.tmp"} {
		if err := syscall.Mkfifo(f.path(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Open(key(0)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opened: %v", err)
	}
	if _, err := f.Part(1); err == nil {
		t.Error("a pipe is the beginning of a segment")
	}
	if err := f.Grow(1, [][]byte{{1}}); err == nil {
		t.Error("a segment grows in a pipe")
	}
	write(t, f, 1, 1000) // the pipe has made room
}

// An app's, a stream's or a recording's folder may be a link to a directory on another disk. What is behind it is recovered, counted, and
// evicted; the link stays.
func TestSpoolFollowsLinksToFolders(t *testing.T) {
	for _, level := range []string{"live", "live/streams", "live/streams/cam"} {
		t.Run(level, func(t *testing.T) {
			dir, disk := t.TempDir(), t.TempDir()
			f := folder(t, New(Options{Dir: dir}), &owner{})
			journalled(t, f, 2)
			write(t, f, 0, 1000)
			link, to := filepath.Join(dir, level), filepath.Join(disk, "moved")
			if err := errors.Join(f.Close(), os.Rename(link, to), os.Symlink(to, link)); err != nil {
				t.Fatal(err)
			}
			s := New(Options{Dir: dir})
			all, err := s.Recover(context.Background())
			if len(all) != 1 || err != nil || s.Stats().Files.Load() != 1 {
				t.Fatalf("%d recordings, %d files, %v", len(all), s.Stats().Files.Load(), err)
			}
			if err := all[0].Folder.Finish(); err != nil {
				t.Fatal(err)
			}
			s = New(Options{Dir: dir})
			if err := s.Inventory(context.Background()); err != nil || s.Stats().Files.Load() != 1 {
				t.Fatalf("%d files, %v", s.Stats().Files.Load(), err)
			}
			if !s.evict(1) || present(s, 1) != nil {
				t.Error("the segment is there still")
			}
			if _, err := os.Lstat(link); err != nil {
				t.Error(err)
			}
		})
	}
}

// A second name of a folder is not taken for a second recording, nor is the folder put aside for it.
func TestSpoolLeavesOtherNamesAlone(t *testing.T) {
	for name, out := range map[string]bool{"in the spool": false, "on another disk": true} {
		t.Run(name, func(t *testing.T) {
			dir, disk := t.TempDir(), t.TempDir()
			f := folder(t, New(Options{Dir: dir}), &owner{})
			journalled(t, f, 2)
			write(t, f, 0, 1000)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			live := filepath.Join(dir, "live")
			if out {
				to := filepath.Join(disk, "moved")
				if err := errors.Join(os.Rename(live, to), os.Symlink(to, live)); err != nil {
					t.Fatal(err)
				}
			}
			to, err := filepath.EvalSymlinks(live)
			if err := errors.Join(err, os.Symlink(to, filepath.Join(dir, "alias"))); err != nil {
				t.Fatal(err)
			}
			s := New(Options{Dir: dir})
			all, err := s.Recover(context.Background())
			if len(all) != 1 || (err != nil) != out || len(s.Aside()) != 0 || all[0].State.ID.App != "live" {
				t.Errorf("%d recordings, %v, put aside: %v", len(all), err, s.Aside())
			}
		})
	}
}
