package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
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
	// Trusted is false where the last records may be missing: after a power cut under Never, or where there is no journal.
	// Numbers may then be in use that the journal does not know, so the recording must not go on.
	Trusted bool
	// Parts are the numbers of segments of which only the beginning is in the folder, ascending: see Folder.Part.
	Parts []uint64
	// Newest tells that the spool has no newer recording of the stream.
	Newest bool
}

// Recover reads what an earlier process left behind for the recordings that are not complete in every target; Inventory
// does the rest. No segment is removed. A folder that cannot be understood is put aside, see Aside; one that cannot be read
// is left alone and told about in the error, beside those that can.
func (s *Spool) Recover(ctx context.Context) ([]Recovered, error) {
	var all []Recovered
	var bad []error
	newest := map[[2]string]string{}
	err := s.eachFolder(ctx, func(id ID, dir string, names []string) {
		stream := [2]string{id.App, id.Stream}
		newest[stream] = max(newest[stream], id.Recording)
		segments, parts := segmentsIn(names), partsIn(names)
		if !slices.Contains(names, journalName) && (slices.Contains(names, finishedName) || len(segments)+len(parts) == 0) {
			return
		}
		r, err := s.recover(id, dir, names, segments, parts)
		switch {
		case errors.Is(err, errPutAside):
			bad = append(bad, s.putAside(id, dir, err))
		case err != nil:
			bad = append(bad, fmt.Errorf("%s: %w", dir, err))
		case r != nil:
			all = append(all, *r)
		}
	})
	if err != nil {
		bad = append(bad, fmt.Errorf("read spool: %w", err))
	}
	for i := range all {
		id := &all[i].State.ID
		all[i].Newest = newest[[2]string{id.App, id.Stream}] == id.Recording
	}
	s.findAside(ctx)
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
			if !row.File {
				continue
			}
			size := row.Size
			if row.Unknown {
				if info, err := os.Stat(r.Folder.path(segmentFile(row.Sequence))); err == nil {
					size = info.Size()
				}
			}
			files = append(files, dated{file{in: r.Folder, sequence: row.Sequence, size: size}, row.Start})
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
func (s *Spool) recover(id ID, dir string, names []string, segments, parts map[uint64]struct{}) (*Recovered, error) {
	f := &Folder{s: s, id: id, dir: dir, made: true, broken: true}
	st, err := s.readJournal(f, names)
	switch {
	case err == nil && st.begun && st.ID != id && s.outside(dir):
		return nil, fmt.Errorf("the journal is of another recording, %v, which may go by its own name, too: it is left where it is", st.ID)
	case errors.Is(err, ErrLater), err == nil && st.begun && st.ID != id:
		if err == nil {
			err = fmt.Errorf("the journal is of another recording, %v", st.ID)
		}
		return nil, fmt.Errorf("%w: %w", errPutAside, err)
	case errors.Is(err, ErrNoJournal) && len(segments)+len(parts) == 0:
		// What the bucket may have of it is not known, nor what it still lacks.
		return nil, fmt.Errorf("%w: %w", errPutAside, err)
	case errors.Is(err, errNoFile), errors.Is(err, fs.ErrNotExist): // a link to nowhere is listed, and not there
		return nil, fmt.Errorf("the journal cannot be read: %w; %w", err, errPutAside)
	case err != nil && !errors.Is(err, ErrNoJournal):
		return nil, err
	}
	lost := err != nil
	st.ID = id
	if st.Ladder != nil && len(st.Rows)+len(segments)+len(parts) == 0 {
		_ = s.fs.Remove(f.path(rewriteName)) // half of a journal, where there is one: the other one counts
		return &Recovered{Folder: f, State: st, Trusted: true}, nil
	}
	if len(st.Rows) == 0 && len(segments)+len(parts) == 0 && len(st.Later) > 0 {
		return nil, fmt.Errorf("%w: the journal tells of nothing but what a later version of hlsorigin knows", errPutAside)
	}
	if len(st.Rows) == 0 && len(segments)+len(parts) == 0 && len(st.Damage) == 0 {
		// It died before the first segment was complete: no viewer was ever shown it.
		f.remove()
		return nil, nil
	}
	if len(st.Rows) == 0 && len(st.Damage) == 0 && len(segments) > 0 {
		st.Damage = []Damage{{Torn: true}} // a segment is never without a row: its record is cut off
	}
	st.include(segments, parts)
	st.fill()
	for i := range st.Rows {
		r := &st.Rows[i]
		_, r.File = segments[r.Sequence]
		r.File = r.File && !r.Gap
	}
	r := &Recovered{Folder: f, State: st, Trusted: !lost && st.trusted(s.o.BootID)}
	for _, seq := range slices.Sorted(maps.Keys(parts)) {
		if _, whole := segments[seq]; whole || st.settled(seq) {
			_ = s.fs.Remove(f.path(fmt.Sprintf(tempPattern, seq))) // the beginning of something that is there whole, or stored
			continue
		}
		r.Parts = append(r.Parts, seq)
	}
	if slices.Contains(names, rewriteName) {
		_ = s.fs.Remove(f.path(rewriteName)) // half of a journal: the other one counts
	}
	return r, nil
}

// readJournal reads a folder's journal. Where there is none, that is damage as any other.
func (s *Spool) readJournal(f *Folder, names []string) (State, error) {
	if !slices.Contains(names, journalName) {
		return State{Damage: []Damage{{Torn: true}}}, ErrNoJournal
	}
	data, err := s.readFile(f.path(journalName))
	if err != nil {
		return State{}, err
	}
	st, _, err := Read(data)
	return st, err
}

// include takes the numbers of files into use that no record knows any more.
func (s *State) include(segments, parts map[uint64]struct{}) {
	if len(s.Rows) == 0 && !s.hasBase() {
		first := uint64(math.MaxUint64)
		if s.Next > 0 {
			first = s.first
		}
		for _, files := range []map[uint64]struct{}{segments, parts} {
			for n := range files {
				first = min(first, n)
			}
		}
		if first == math.MaxUint64 {
			return
		}
		s.Guessed, s.Meta.Base, s.Base, s.Next = true, &first, first, max(s.Next, first)
	}
	for _, files := range []map[uint64]struct{}{segments, parts} {
		for _, n := range slices.Sorted(maps.Keys(files)) {
			if n >= s.Next && n < s.Next+maxSkip {
				s.Next = n + 1
			}
		}
	}
}

// settled reports whether nothing of a segment's bytes is needed any more.
func (s *State) settled(sequence uint64) bool {
	if sequence < s.Base || sequence >= s.Base+uint64(len(s.Rows)) {
		return false
	}
	r := &s.Rows[sequence-s.Base]
	return r.Confirmed != 0 || r.Gap
}

func (s *Spool) readFile(name string) ([]byte, error) {
	f, err := s.fs.Open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// segmentsIn are the numbers of the segments among the names of a folder.
func segmentsIn(names []string) map[uint64]struct{} { return numbered(names, "", ".ts", segPattern) }

// partsIn are the numbers of the segments that were being written.
func partsIn(names []string) map[uint64]struct{} { return numbered(names, ".", ".ts.tmp", tempPattern) }

func numbered(names []string, prefix, suffix, pattern string) map[uint64]struct{} {
	m := make(map[uint64]struct{}, len(names))
	for _, n := range names {
		digits, ok := strings.CutSuffix(n, suffix)
		if !ok || !strings.HasPrefix(digits, prefix) {
			continue
		}
		if seq, err := strconv.ParseUint(digits[len(prefix):], 10, 62); err == nil && fmt.Sprintf(pattern, seq) == n {
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
	return s.eachFolderIn(ctx, s.o.Dir, visit)
}

func (s *Spool) eachFolderIn(ctx context.Context, root string, visit func(id ID, dir string, names []string)) error {
	return s.eachDir(ctx, root, func(app string) error {
		streams := filepath.Join(root, app, "streams")
		return s.eachDir(ctx, streams, func(stream string) error {
			return s.eachDir(ctx, filepath.Join(streams, stream), func(recording string) error {
				dir := filepath.Join(streams, stream, recording)
				entries, err := s.fs.ReadDir(dir)
				if errors.Is(err, fs.ErrNotExist) {
					return nil // it was finished meanwhile
				}
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
		if !strings.HasPrefix(e.Name(), ".") && s.isDir(e, filepath.Join(dir, e.Name())) {
			bad = append(bad, fn(e.Name()))
		}
	}
	return errors.Join(bad...)
}

// isDir reports whether an entry is a directory, or a link to one outside the spool: an operator may have moved an app's
// recordings to another disk, and what is written through a link must be found again. A link to what is in the spool already
// is another name of it, and not followed.
func (s *Spool) isDir(e fs.DirEntry, name string) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return false
	}
	return s.outside(name)
}

// outside reports whether a folder lies somewhere else than in the spool, and is reached by a link. One that cannot be told is
// taken to be elsewhere.
func (s *Spool) outside(dir string) bool {
	to, err := filepath.EvalSymlinks(dir)
	root, err2 := filepath.EvalSymlinks(s.o.Dir)
	if err != nil || err2 != nil {
		return true
	}
	rel, err := filepath.Rel(root, to)
	return err != nil || !filepath.IsLocal(rel)
}
