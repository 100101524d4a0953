package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// ErrChanged means that a segment's file does not have the size with which it was written. It also matches fs.ErrNotExist: the segment is
// not here any more.
var ErrChanged error = changed{}

type changed struct{}

func (changed) Error() string        { return "the segment's file in the spool was changed by somebody else" }
func (changed) Is(target error) bool { return target == fs.ErrNotExist }

// index holds the sizes in bytes of the segments that may be served, by folder, which is the key without the last element, and by number.
// Guarded by Spool.mu.
type index map[string]map[uint64]int64

func (x index) put(folder string, sequence uint64, size int64) {
	if x[folder] == nil {
		x[folder] = map[uint64]int64{}
	}
	x[folder][sequence] = size
}

func (x index) drop(folder string, sequence uint64) {
	delete(x[folder], sequence)
	if len(x[folder]) == 0 {
		delete(x, folder)
	}
}

// Open opens a segment by its key, and returns its size in bytes. If it is not here, or in no journal, the error is fs.ErrNotExist; so it
// is if the file has another size, see ErrChanged. The file stays readable until it is closed, even if it is evicted meanwhile.
func (s *Spool) Open(key string) (*os.File, int64, error) {
	sequence, ok := numbered(path.Base(key), "", ".ts", segPattern)
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	size, ok := s.sizeOf(path.Dir(key), sequence)
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	f, found, err := s.OpenUnchecked(key)
	if err == nil && found != size {
		s.stats.Changed.Add(1)
		err = errors.Join(fmt.Errorf("%w: it has %d bytes, and had %d", ErrChanged, found, size), f.Close())
	}
	if err != nil {
		return nil, 0, err
	}
	return f, size, nil
}

// OpenUnchecked is Open without Recover, for callers that know themselves what the segment was: it opens any regular file with the name.
func (s *Spool) OpenUnchecked(key string) (*os.File, int64, error) {
	if !strings.HasSuffix(key, ".ts") || strings.Contains(key, "/.") || !filepath.IsLocal(filepath.FromSlash(key)) {
		return nil, 0, fs.ErrNotExist
	}
	f, err := s.fs.Open(filepath.Join(s.o.Dir, filepath.FromSlash(key)), os.O_RDONLY)
	if errors.Is(err, errNoFile) {
		return nil, 0, fs.ErrNotExist
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.Join(fs.ErrNotExist, f.Close())
	}
	return f, info.Size(), nil
}

// sizeOf finds a segment in the index. Until Inventory has added the segments of a finished recording, they are looked up in its journal.
func (s *Spool) sizeOf(folder string, sequence uint64) (int64, bool) {
	s.mu.Lock()
	size, ok := s.index[folder][sequence]
	looking, others := s.looked[folder]
	look := !ok && !s.inventoried && s.index[folder] == nil && !others && len(s.looked) < maxLooked
	if look {
		looking = make(chan struct{})
		s.looked[folder] = looking
	}
	s.mu.Unlock()
	switch {
	case ok, !look && looking == nil:
		return size, ok
	case look:
		s.lookInto(folder)
	default:
		<-looking
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if look {
		s.looked[folder] = nil
		close(looking)
	}
	size, ok = s.index[folder][sequence]
	return size, ok
}

// lookInto adds the segments of a finished recording to the index.
func (s *Spool) lookInto(folder string) {
	levels := strings.Split(folder, "/")
	if len(levels) != 4 || levels[1] != "streams" || strings.Contains("/"+folder, "/.") || !filepath.IsLocal(filepath.FromSlash(folder)) {
		return
	}
	dir := filepath.Join(s.o.Dir, filepath.FromSlash(folder))
	l, err := s.list(dir)
	if err != nil {
		return
	}
	sizes := s.finished(ID{App: levels[0], Stream: levels[2], Recording: levels[3]}, dir, l)
	s.mu.Lock()
	defer s.mu.Unlock()
	for seq, size := range sizes {
		s.index.put(folder, seq, size)
	}
}

// maxLooked bounds how many folders are read for viewers before Inventory reaches them.
const maxLooked = 1 << 16

// finished returns the sizes of a finished recording's segments whose files agree with its journal.
func (s *Spool) finished(id ID, dir string, l *listing) map[uint64]int64 {
	if !l.has(finishedName) || l.has(journalName) {
		return nil
	}
	data, err := s.readFile(filepath.Join(dir, finishedName))
	if err != nil {
		return nil
	}
	st, _, err := Read(data)
	if err != nil || st.begun && st.ID != id {
		return nil
	}
	sizes := make(map[uint64]int64, len(l.segments))
	for i := range st.Rows {
		row := &st.Rows[i]
		if size, ok := l.segments[row.Sequence]; ok && !row.Unknown && !row.Gap && row.Size == size {
			sizes[row.Sequence] = size
		}
	}
	return sizes
}

// rel returns a folder's name in the index.
func (s *Spool) rel(dir string) string {
	rel, err := filepath.Rel(s.o.Dir, dir)
	if err != nil {
		return ""
	}
	return filepath.ToSlash(rel)
}
