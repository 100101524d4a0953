package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// FS is the part of a file system that the spool uses. A nil field means the operating system's own. Tests insert a disk that is full,
// hangs, or forgets what was not synced.
type FS struct {
	Open    func(name string, flag int) (*os.File, error)
	Write   func(f *os.File, p []byte, off int64) error // writes all of p, or returns an error
	Sync    func(f *os.File) error
	SyncDir func(dir string) error
	Mkdir   func(dir string) error // one level; an existing one is fs.ErrExist
	Rename  func(from, to string) error
	Remove  func(name string) error
	ReadDir func(dir string) ([]fs.DirEntry, error)
}

func (f FS) withDefaults() FS {
	if f.Open == nil {
		f.Open = regular.OpenPlain
	}
	if f.Write == nil {
		f.Write = func(f *os.File, p []byte, off int64) error { _, err := f.WriteAt(p, off); return err }
	}
	if f.Sync == nil {
		f.Sync = (*os.File).Sync
	}
	if f.SyncDir == nil {
		f.SyncDir = regular.SyncDir
	}
	if f.Mkdir == nil {
		f.Mkdir = func(dir string) error { return os.Mkdir(dir, 0o750) }
	}
	if f.Rename == nil {
		f.Rename = os.Rename
	}
	if f.Remove == nil {
		f.Remove = os.Remove
	}
	if f.ReadDir == nil {
		f.ReadDir = os.ReadDir
	}
	return f
}

// errNoFile is something that has the name of a file but is a directory, a pipe or a link.
var errNoFile = regular.ErrNotFile

// mkdirs makes root and the levels of rel beneath it. If durable is set, it syncs the parent of each level, so that a power failure cannot
// remove a folder whose content was synced.
func (f FS) mkdirs(root, rel string, durable bool) error {
	if err := f.mkdir(root, durable); err != nil {
		return err
	}
	dir := root
	for _, level := range splitPath(rel) {
		dir = filepath.Join(dir, level)
		if err := f.mkdir(dir, durable); err != nil {
			return err
		}
	}
	return nil
}

func (f FS) mkdir(dir string, durable bool) error {
	err := f.Mkdir(dir)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		// The parents of the spool's own directory.
		if err := f.mkdir(filepath.Dir(dir), durable); err != nil {
			return err
		}
		err = f.Mkdir(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err == nil && durable {
		return f.SyncDir(filepath.Dir(dir))
	}
	return nil
}

func splitPath(rel string) (levels []string) {
	for rel != "" && rel != "." {
		levels = append([]string{filepath.Base(rel)}, levels...)
		rel = filepath.Dir(rel)
	}
	return levels
}

// full reports whether err means that there is no room.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
