package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Recovered is a recording that something is still to be done for.
type Recovered struct {
	Folder *Folder
	State  State
	// Trusted is false where the last records may be missing: after a power cut under Never. Numbers may then be in use
	// that the journal does not know, so the recording must not go on.
	Trusted bool
}

// Recover reads what an earlier process left behind for the recordings that are not complete in every target; Inventory
// does the rest. A folder that cannot be read is left alone and told about in the error, beside those that can.
func (s *Spool) Recover(ctx context.Context) ([]Recovered, error) {
	var all []Recovered
	var bad []error
	err := s.eachFolder(ctx, func(id ID, dir string, names []string) {
		if !slices.Contains(names, journalName) {
			return
		}
		r, err := s.recover(id, dir, names)
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", dir, err))
			return
		}
		if r != nil {
			all = append(all, *r)
		}
	})
	if err != nil {
		bad = append(bad, fmt.Errorf("read spool: %w", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sortFiles(all)
	return all, errors.Join(bad...)
}

// sortFiles lists the recovered segments, oldest first. Spool.mu is held.
func (s *Spool) sortFiles(all []Recovered) {
	type dated struct {
		file
		start time.Time
	}
	var files []dated
	for _, r := range all {
		for _, row := range r.State.Rows {
			if row.File {
				files = append(files, dated{file{in: r.Folder, sequence: row.Sequence, size: row.Size}, row.Start})
			}
		}
	}
	slices.SortStableFunc(files, func(a, b dated) int { return a.start.Compare(b.start) })
	for _, f := range files {
		s.files = append(s.files, f.file)
		f.in.files++
		s.stats.Bytes.Add(f.size)
		s.stats.Files.Add(1)
	}
}

// recover reads one folder; nil where nothing in it matters.
func (s *Spool) recover(id ID, dir string, names []string) (*Recovered, error) {
	data, err := s.readFile(filepath.Join(dir, journalName))
	if err != nil {
		return nil, err
	}
	st, good, err := Read(data)
	f := &Folder{s: s, id: id, dir: dir, made: true, broken: true}
	if err == nil && st.ID != id {
		err = fmt.Errorf("journal is of another recording, %v", st.ID)
	}
	segments := segmentsIn(names)
	if len(st.Rows) == 0 && (len(segments) == 0 || err == nil) {
		// It died before the first segment was complete: no viewer was ever shown it.
		for _, n := range names {
			_ = s.fs.Remove(filepath.Join(dir, n))
		}
		f.remove()
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for n := range segments {
		if n >= st.Next && n < st.Next+maxSkip { // its row was lost with the journal's tail
			st.Next = n + 1
		}
	}
	st.fill()
	for i := range st.Rows {
		r := &st.Rows[i]
		_, r.File = segments[r.Sequence]
		r.File = r.File && !r.Gap
	}
	for _, n := range names {
		if strings.HasSuffix(n, ".tmp") {
			_ = s.fs.Remove(filepath.Join(dir, n)) // half of something
		}
	}
	_ = good // the journal is written anew before it is appended to, so its torn tail goes then
	return &Recovered{Folder: f, State: st, Trusted: st.trusted(s.o.BootID)}, nil
}

func (s *Spool) readFile(name string) ([]byte, error) {
	f, err := s.fs.Open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

func segmentsIn(names []string) map[uint64]struct{} {
	m := make(map[uint64]struct{}, len(names))
	for _, n := range names {
		digits, ok := strings.CutSuffix(n, ".ts")
		if !ok {
			continue
		}
		if seq, err := strconv.ParseUint(digits, 10, 63); err == nil && segmentFile(seq) == n {
			m[seq] = struct{}{}
		}
	}
	return m
}

// Inventory counts the segments of recordings that are finished, so that they can be evicted. It reads every folder and
// may take its time; until then the cap counts what is unfinished only.
func (s *Spool) Inventory(ctx context.Context) error {
	type dated struct {
		file
		modified time.Time
	}
	var files []dated
	err := s.eachFolder(ctx, func(id ID, dir string, names []string) {
		if !slices.Contains(names, finishedName) || slices.Contains(names, journalName) {
			return
		}
		f := &Folder{s: s, id: id, dir: dir, made: true, done: true}
		n := len(files)
		for seq := range segmentsIn(names) {
			info, err := os.Stat(f.path(segmentFile(seq)))
			if err != nil {
				continue // it was evicted meanwhile
			}
			files = append(files, dated{file{in: f, sequence: seq, size: info.Size()}, info.ModTime()})
		}
		if len(files) == n {
			f.remove()
		}
	})
	slices.SortFunc(files, func(a, b dated) int {
		return cmp.Or(a.modified.Compare(b.modified), cmp.Compare(a.sequence, b.sequence))
	})
	s.mu.Lock()
	known := map[string]bool{}
	for _, f := range s.files {
		known[f.in.dir] = true
	}
	var old []file
	for _, f := range files {
		if known[f.in.dir] {
			continue // it was finished while this was reading
		}
		f.in.files++
		old = append(old, f.file)
		s.stats.Bytes.Add(f.size)
		s.stats.Files.Add(1)
	}
	s.files = append(old, s.files...)
	s.mu.Unlock()
	s.makeRoom(0)
	if err != nil {
		return fmt.Errorf("read spool: %w", err)
	}
	return nil
}

// eachFolder visits every folder that can hold a recording.
func (s *Spool) eachFolder(ctx context.Context, visit func(id ID, dir string, names []string)) error {
	return s.eachDir(ctx, s.o.Dir, func(app string) error {
		streams := filepath.Join(s.o.Dir, app, "streams")
		return s.eachDir(ctx, streams, func(stream string) error {
			return s.eachDir(ctx, filepath.Join(streams, stream), func(recording string) error {
				dir := filepath.Join(streams, stream, recording)
				entries, err := s.fs.ReadDir(dir)
				if err != nil {
					return err
				}
				names := make([]string, len(entries))
				for i, e := range entries {
					names[i] = e.Name()
				}
				visit(ID{App: app, Stream: stream, Recording: recording}, dir, names)
				return nil
			})
		})
	})
}

func (s *Spool) eachDir(ctx context.Context, dir string, fn func(name string) error) error {
	entries, err := s.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var bad []error // one folder that cannot be read says nothing about the others
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.IsDir() {
			bad = append(bad, fn(e.Name()))
		}
	}
	return errors.Join(bad...)
}
