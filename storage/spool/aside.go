package spool

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
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
	rel := filepath.Join(asideName, id.App, "streams", id.Stream)
	to := filepath.Join(s.o.Dir, rel, id.Recording)
	err := s.fs.mkdirs(s.o.Dir, rel, s.o.Sync != Never)
	for n := 2; err == nil && n < 1000; n++ {
		if _, taken := s.fs.ReadDir(to); taken != nil {
			break
		}
		to = filepath.Join(s.o.Dir, rel, id.Recording+"."+strconv.Itoa(n))
	}
	if err == nil {
		err = s.fs.Rename(dir, to)
	}
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
