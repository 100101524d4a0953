package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// asideName is the directory in the spool for folders that were put aside.
const asideName = ".aside"

// errPutAside marks a folder that cannot be understood.
var errPutAside = errors.New("it is put aside")

// errOnlyLater marks a folder whose journal this version can read, but which contains nothing it knows.
var errOnlyLater = errors.New("the journal tells of nothing but what a later version of hlsorigin knows")

// errOther marks a folder whose journal belongs to another recording.
var errOther = errors.New("the journal is of another recording")

// putAside moves a folder out of the way, with its content, so that neither this program nor a recording of the same name touches it. The
// error says what was found, where it is now, and what to do.
func (s *Spool) putAside(id ID, dir string, why error) error {
	to, err := s.moveAside(id, dir)
	if err != nil {
		return fmt.Errorf("%s: %w, but cannot be moved: %w", dir, why, err)
	}
	advice := "see who put it there; what the segments beside it hold can be repaired"
	switch {
	case errors.Is(why, ErrLater), errors.Is(why, errOnlyLater):
		advice = "bring the version that wrote it, or repair the recording"
	case errors.Is(why, errOther):
		advice = "move it to where it belongs while the server is down, or repair the recording"
	case errors.Is(why, ErrNoJournal):
		advice = "check the disk; what the bucket has of it can be repaired"
	}
	return fmt.Errorf("%s: %w; all of it is in %s: %s, and then remove that directory", dir, why, to, advice)
}

// Displace takes a recording's folder out of the way, if there is one: another server had the recording meanwhile, and may have given its
// numbers other bytes. If a target lacked some of it, it is put aside; else it goes. No Folder of the recording may be in use.
func (s *Spool) Displace(id ID) error {
	dir := filepath.Join(s.o.Dir, id.App, "streams", id.Stream, id.Recording)
	l, err := s.list(dir)
	if missing(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.disown(dir)
	if !l.empty() && !l.has(finishedName) {
		if _, err := s.moveAside(id, dir); err != nil {
			return fmt.Errorf("spool: %s cannot be put aside: %w", dir, err)
		}
		s.gone(dir)
		return nil
	}
	for name, kind := range l.types {
		if kind.IsRegular() {
			err = errors.Join(err, s.fs.Remove(filepath.Join(dir, name)))
		}
	}
	if err = errors.Join(err, s.fs.Remove(dir)); err != nil {
		return fmt.Errorf("spool: %s cannot be removed: %w", dir, err)
	}
	s.gone(dir)
	return nil
}

// Has reports whether there is a folder of a recording.
func (s *Spool) Has(id ID) (bool, error) {
	_, err := s.list(filepath.Join(s.o.Dir, id.App, "streams", id.Stream, id.Recording))
	if missing(err) {
		return false, nil
	}
	return err == nil, err
}

// missing reports whether an error says that nothing is there, nor where it would have to be.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// Never reports, without the disk, whether there can be no folder of a recording: Recover has seen all that there were, and none was made since.
func (s *Spool) Never(id ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.surveyed && !s.folders[filepath.ToSlash(filepath.Join(id.App, "streams", id.Stream, id.Recording))]
}

// had notes that a folder is there, or was.
func (s *Spool) had(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.folders[s.rel(dir)] = true
}

// gone notes that a folder is not there any more.
func (s *Spool) gone(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.folders, s.rel(dir))
}

// disown forgets a folder's files.
func (s *Spool) disown(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = slices.DeleteFunc(s.files, func(f file) bool {
		if f.in.dir != dir {
			return false
		}
		f.in.files--
		s.index.drop(f.in.key, f.sequence)
		s.stats.Bytes.Add(-f.size)
		s.stats.Files.Add(-1)
		return true
	})
	delete(s.index, s.rel(dir))
}

// moveAside moves a folder out of the way, and returns where it is now.
func (s *Spool) moveAside(id ID, dir string) (to string, err error) {
	rel := filepath.Join(asideName, id.App, "streams", id.Stream)
	to = filepath.Join(s.o.Dir, rel, id.Recording)
	err = s.fs.mkdirs(s.o.Dir, rel, s.o.Sync != Never)
	for n := 2; err == nil && n < 1000; n++ {
		if _, taken := s.fs.ReadDir(to); taken != nil {
			break
		}
		to = filepath.Join(s.o.Dir, rel, id.Recording+"."+strconv.Itoa(n))
	}
	if err == nil {
		err = s.fs.Rename(dir, to)
	}
	return to, err
}

// findAside looks for folders that were put aside, now or by an earlier start.
func (s *Spool) findAside(ctx context.Context) {
	var found []string
	root := filepath.Join(s.o.Dir, asideName)
	_ = s.eachFolderIn(ctx, root, func(_ ID, dir string, _ *listing) { found = append(found, dir) }) // what cannot be read is not counted
	slices.Sort(found)
	s.mu.Lock()
	s.aside = found
	s.mu.Unlock()
	s.stats.Aside.Store(int64(len(found)))
}

// Aside returns the folders that were put aside because they could not be understood. They stay until somebody removes them.
func (s *Spool) Aside() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.aside)
}
