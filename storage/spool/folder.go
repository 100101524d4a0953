package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The names in a recording's folder, besides {sequence %09d}.ts.
const (
	journalName  = "journal"        // of a recording with something left to do
	finishedName = "journal.done"   // of one that is complete in every target
	rewriteName  = ".journal.tmp"   // a journal that is being rewritten
	tempPattern  = ".%09d.ts.tmp"   // a segment that is being written
	segPattern   = "%09d.ts"        // a segment
	mergeLimit   = 1 << 20          // bytes of records that may wait for a failing disk
	copySlack    = int64(256 << 10) // freed beyond a segment's size when the disk is full: directories need room, too
)

func segmentFile(sequence uint64) string { return fmt.Sprintf(segPattern, sequence) }

// Folder is the folder of one recording. Its methods must be called by one goroutine at a time, which may have to wait for the disk.
type Folder struct {
	s     *Spool
	id    ID
	dir   string
	key   string // of its segments, without the last element
	owner Owner  // nil: nobody needs anything from it any more

	journal *os.File
	off     int64 // the end of the intact part of the journal
	pending Batch // what has not been written to the journal yet
	broken  bool  // the journal must be rewritten before anything is appended
	made    bool
	unsafe  bool // appended to since the last sync

	grown map[uint64]int64 // bytes on disk of segments that are being written, by number

	files int  // guarded by Spool.mu
	done  bool // guarded by Spool.mu
}

// Folder returns the folder of a new recording. Nothing is created on disk before the first write.
func (s *Spool) Folder(id ID, owner Owner) (*Folder, error) {
	rel := filepath.Join(id.App, "streams", id.Stream, id.Recording)
	if id.App == "" || id.Stream == "" || id.Recording == "" || len(splitPath(rel)) != 4 || !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("spool: %q is no name for a recording", rel)
	}
	return &Folder{s: s, id: id, dir: filepath.Join(s.o.Dir, rel), key: filepath.ToSlash(rel), owner: owner, broken: true}, nil
}

// Own sets the owner of a recovered folder's segments.
func (f *Folder) Own(owner Owner) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.owner = owner
}

func (f *Folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *Folder) durable() bool { return f.s.o.Sync != Never }

// make creates the folder and its parents.
func (f *Folder) make() error {
	if f.made {
		return nil
	}
	rel, err := filepath.Rel(f.s.o.Dir, f.dir)
	if err != nil {
		return err
	}
	if err := f.s.fs.mkdirs(f.s.o.Dir, rel, f.durable()); err != nil {
		return err
	}
	f.made = true
	f.s.had(f.dir)
	return nil
}

// Grown returns how many bytes of a segment that is being written are on disk.
func (f *Folder) Grown(sequence uint64) int64 { return f.grown[sequence] }

// Grow appends to a segment that is being written: what follows its bytes that are already on disk. It is synced only under Always. If
// there is no room, it evicts. After an error the caller must start over.
func (f *Folder) Grow(sequence uint64, slices [][]byte) error {
	err := f.grow(sequence, slices)
	if full(err) {
		var size int64
		for _, p := range slices {
			size += int64(len(p))
		}
		if f.s.evict(size + copySlack) {
			err = f.grow(sequence, slices)
		}
	}
	if err != nil {
		f.s.stats.Errors.Add(1)
		f.made = false // the directory may have been removed
		delete(f.grown, sequence)
		_ = f.s.fs.Remove(f.path(fmt.Sprintf(tempPattern, sequence))) // the first error is the one that matters
		return fmt.Errorf("spool segment: %w", err)
	}
	return nil
}

func (f *Folder) grow(sequence uint64, slices [][]byte) error {
	if err := f.make(); err != nil {
		return err
	}
	off := f.grown[sequence]
	out, err := f.openTemp(sequence, off)
	if err != nil {
		return err
	}
	for _, p := range slices {
		if err = f.s.fs.Write(out, p, off); err != nil {
			break
		}
		off += int64(len(p))
	}
	if err == nil && f.s.o.Sync == Always {
		err = f.s.fs.Sync(out)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if f.grown == nil {
		f.grown = map[uint64]int64{}
	}
	f.grown[sequence] = off
	return nil
}

// Abandon discards what is on disk of a segment that was being written.
func (f *Folder) Abandon(sequence uint64) {
	if _, ok := f.grown[sequence]; ok {
		delete(f.grown, sequence)
		_ = f.s.fs.Remove(f.path(fmt.Sprintf(tempPattern, sequence))) // otherwise it is overwritten
	}
}

// openTemp opens the file of a segment that is being written; at offset 0 it is a new one.
func (f *Folder) openTemp(sequence uint64, off int64) (*os.File, error) {
	flag := os.O_WRONLY
	if off == 0 {
		flag |= os.O_CREATE | os.O_TRUNC
	}
	return f.s.fs.Open(f.path(fmt.Sprintf(tempPattern, sequence)), flag)
}

// Write stores one segment: a temporary file, synced according to the policy, then renamed. What has already grown of it is its beginning.
// If there is no room, it evicts. After an error nothing of it is visible.
func (f *Folder) Write(sequence uint64, size int64, slices [][]byte) error {
	f.s.makeRoom(size)
	err := f.write(sequence, size, slices)
	if full(err) && f.s.evict(size+copySlack) {
		err = f.write(sequence, size, slices)
	}
	delete(f.grown, sequence)
	if err != nil {
		f.s.stats.Errors.Add(1)
		f.made = false // the directory may have been removed
		return fmt.Errorf("spool segment: %w", err)
	}
	f.s.add(file{in: f, sequence: sequence, size: size})
	return nil
}

func (f *Folder) write(sequence uint64, size int64, slices [][]byte) (err error) {
	if err := f.make(); err != nil {
		return err
	}
	have := f.grown[sequence]
	if have > size {
		have = 0
	}
	temp := f.path(fmt.Sprintf(tempPattern, sequence))
	out, err := f.openTemp(sequence, have)
	if err != nil && have > 0 { // somebody has removed it
		have = 0
		out, err = f.openTemp(sequence, 0)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			delete(f.grown, sequence)
			_ = f.s.fs.Remove(temp) // the first error is the one that matters
		}
	}()
	var off int64
	for _, p := range slices {
		end := off + int64(len(p))
		if end > have {
			if off < have {
				p, off = p[have-off:], have
			}
			if err = f.s.fs.Write(out, p, off); err != nil {
				return errors.Join(err, out.Close())
			}
		}
		off = end
	}
	if f.durable() {
		if err = f.s.fs.Sync(out); err != nil {
			return errors.Join(err, out.Close())
		}
	}
	if err = out.Close(); err != nil {
		return err
	}
	if err = f.s.fs.Rename(temp, f.path(segmentFile(sequence))); err != nil {
		return err
	}
	if f.durable() {
		return f.s.fs.SyncDir(f.dir)
	}
	return nil
}

// Finish records that nothing is left to do for the recording: its segments stay as long as there is room.
func (f *Folder) Finish() error {
	if f.journal != nil {
		_ = f.journal.Close() // its content does not matter any more
		f.journal = nil
	}
	err := f.s.fs.Rename(f.path(journalName), f.path(finishedName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("spool journal: %w", err)
	}
	f.s.mu.Lock()
	f.done, f.owner = true, nil
	f.s.mu.Unlock()
	f.s.forgetEmpty(f)
	return nil
}

// Close closes the journal. The folder stays as it is for the next start.
func (f *Folder) Close() error {
	if f.journal == nil {
		return nil
	}
	err := f.journal.Close()
	f.journal, f.broken = nil, true
	return err
}

// Part opens the beginning of a segment that an earlier process did not finish. The caller closes it.
func (f *Folder) Part(sequence uint64) (*os.File, error) {
	return f.s.fs.Open(f.path(fmt.Sprintf(tempPattern, sequence)), os.O_RDONLY)
}

// Complete makes a segment from the first size bytes of such a beginning, and cuts off the rest.
func (f *Folder) Complete(sequence uint64, size int64) error {
	temp := f.path(fmt.Sprintf(tempPattern, sequence))
	out, err := f.s.fs.Open(temp, os.O_RDWR)
	if err != nil {
		return err
	}
	if err = out.Truncate(size); err == nil {
		err = f.s.fs.Sync(out)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("spool segment: %w", err)
	}
	if err := f.s.fs.Rename(temp, f.path(segmentFile(sequence))); err != nil {
		return fmt.Errorf("spool segment: %w", err)
	}
	if f.durable() {
		if err := f.s.fs.SyncDir(f.dir); err != nil {
			return fmt.Errorf("spool segment: %w", err)
		}
	}
	f.s.add(file{in: f, sequence: sequence, size: size})
	return nil
}

// remove removes the empty folder, and those above it that become empty.
func (f *Folder) remove() {
	for _, name := range []string{finishedName, journalName, rewriteName} {
		_ = f.s.fs.Remove(f.path(name)) // most do not exist
	}
	for dir := f.dir; dir != f.s.o.Dir && len(dir) > len(f.s.o.Dir); dir = filepath.Dir(dir) {
		if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
			return // a link made by an operator
		}
		if f.s.fs.Remove(dir) != nil {
			return // not empty
		}
		if dir == f.dir {
			f.s.gone(dir)
		}
	}
}
