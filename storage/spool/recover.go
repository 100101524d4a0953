package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// Recovered is a recording with something left to do.
type Recovered struct {
	Folder *Folder
	State  State
	// Trusted is false if the last records may be missing: after a power failure under Never, or if there is no journal. Numbers may then
	// be used that the journal does not know, so the recording must not go on.
	Trusted bool
	// Parts are the numbers of segments of which the folder has only the beginning, ascending: see Folder.Part.
	Parts []uint64
	// Newest reports that the spool has no newer recording of the stream.
	Newest bool
	// Wrong says in words what in the folder has a segment's name and is not what was written; "": nothing. It is not used, and left where
	// it is.
	Wrong string

	files map[uint64]int64 // bytes of the files with the name of a segment
	wrong []string         // those whose size differs from their row's, in words
}

// Recover reads what an earlier process left for the recordings that are not complete in every target; Inventory does the rest. No segment
// is removed. A folder that cannot be understood is put aside, see Aside. One that cannot be read is left alone and reported in the error,
// together with those that can.
func (s *Spool) Recover(ctx context.Context) ([]Recovered, error) {
	var all []Recovered
	var bad []error
	newest := map[[2]string]string{}
	err := s.eachFolder(ctx, func(id ID, dir string, l *listing) {
		s.had(dir)
		stream := [2]string{id.App, id.Stream}
		newest[stream] = max(newest[stream], id.Recording)
		if !l.has(journalName) && (l.has(finishedName) || l.empty()) {
			if len(l.odd) > 0 {
				bad = append(bad, fmt.Errorf("%s: %s, and left where it is: look who made it", dir, tell(l.odd)))
			}
			return
		}
		r, err := s.recover(id, dir, l)
		switch {
		case errors.Is(err, errPutAside):
			bad = append(bad, s.putAside(id, dir, err))
		case err != nil:
			bad = append(bad, fmt.Errorf("%s: %w", dir, err))
		case r != nil:
			r.Wrong = tell(slices.Concat(l.odd, r.wrong))
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
	s.surveyed = err == nil
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
			switch size, ok := r.files[row.Sequence]; {
			case row.File:
				files = append(files, dated{file{in: r.Folder, sequence: row.Sequence, size: size}, row.Start})
			case ok:
				files = append(files, dated{file{in: r.Folder, sequence: row.Sequence, foreign: true}, row.Start})
			}
		}
	}
	slices.SortStableFunc(files, func(a, b dated) int { return a.start.Compare(b.start) })
	for _, f := range files {
		s.files = append(s.files, f.file)
		f.in.files++
		if !f.foreign {
			s.index.put(f.in.key, f.sequence, f.size)
		}
		s.stats.Bytes.Add(f.size)
		s.stats.Files.Add(1)
	}
}

// recover reads one folder. It returns nil if nothing in it matters.
func (s *Spool) recover(id ID, dir string, l *listing) (*Recovered, error) {
	f := &Folder{s: s, id: id, dir: dir, key: s.rel(dir), made: true, broken: true}
	st, err := s.readJournal(f, l)
	switch {
	case err == nil && st.begun && st.ID != id && s.outside(dir):
		return nil, fmt.Errorf("the journal is of another recording, %v, which may go by its own name, too: it is left where it is", st.ID)
	case errors.Is(err, ErrLater), err == nil && st.begun && st.ID != id:
		if err == nil {
			err = fmt.Errorf("%w, %v", errOther, st.ID)
		}
		return nil, fmt.Errorf("%w: %w", errPutAside, err)
	case errors.Is(err, ErrNoJournal) && l.empty():
		// It is unknown which parts of it the bucket has, and which it lacks.
		return nil, fmt.Errorf("%w: %w", errPutAside, err)
	case errors.Is(err, errNoFile), errors.Is(err, regular.ErrTooLarge), errors.Is(err, fs.ErrNotExist): // it was listed, and is gone
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err // the message says anyhow where it is
		}
		return nil, fmt.Errorf("what has the name of its journal is none: %w; %w", err, errPutAside)
	case err != nil && !errors.Is(err, ErrNoJournal):
		return nil, err
	}
	lost := err != nil
	st.ID = id
	if st.Ladder != nil && len(st.Rows) == 0 && l.empty() {
		if l.types[rewriteName].IsRegular() && l.has(rewriteName) {
			_ = s.fs.Remove(f.path(rewriteName)) // half of a journal: the other one counts
		}
		return &Recovered{Folder: f, State: st, Trusted: true}, nil
	}
	if len(st.Rows) == 0 && l.empty() && len(st.Later) > 0 {
		return nil, fmt.Errorf("%w: %w", errPutAside, errOnlyLater)
	}
	if len(st.Rows) == 0 && l.empty() && len(st.Damage) == 0 {
		// The process died before the first segment was complete: no viewer was ever shown it.
		f.remove()
		return nil, nil
	}
	if len(st.Rows) == 0 && len(st.Damage) == 0 && len(l.segments) > 0 {
		st.Damage = []Damage{{Torn: true}} // a segment always has a row: its record was cut off
	}
	most := uint64(maxAhead)
	if lost || len(st.Damage) > 0 || !st.trusted(s.o.BootID) {
		most = maxSkip
	}
	st.include(l, most)
	st.fill()
	r := &Recovered{Folder: f, Trusted: !lost && st.trusted(s.o.BootID), files: l.segments}
	for i := range st.Rows {
		row := &st.Rows[i]
		size, there := l.segments[row.Sequence]
		row.File = there && !row.Gap && (row.Unknown || row.Size == size)
		if there && !row.Gap && !row.File {
			r.wrong = append(r.wrong, fmt.Sprintf("%s has %d bytes instead of %d", segmentFile(row.Sequence), size, row.Size))
		}
	}
	r.State = st
	for _, seq := range numbers(l.parts) {
		if _, whole := l.segments[seq]; whole || st.settled(seq) {
			_ = s.fs.Remove(f.path(fmt.Sprintf(tempPattern, seq))) // the beginning of something that is complete, or stored
			continue
		}
		r.Parts = append(r.Parts, seq)
	}
	if l.types[rewriteName].IsRegular() && l.has(rewriteName) {
		_ = s.fs.Remove(f.path(rewriteName)) // half of a journal: the other one counts
	}
	return r, nil
}

// readJournal reads a folder's journal. A missing one counts as damage.
func (s *Spool) readJournal(f *Folder, l *listing) (State, error) {
	if !l.has(journalName) {
		return State{Damage: []Damage{{Torn: true}}}, ErrNoJournal
	}
	data, err := s.readFile(f.path(journalName))
	if err != nil {
		return State{}, err
	}
	st, _, err := Read(data)
	return st, err
}

// maxAhead is how many numbers beyond its journal a recording may have if nothing of the journal is lost: a number is in the journal before
// there is a file.
const maxAhead = 64

// include marks as used the numbers of files that no record knows any more, as long as they skip no more than most numbers. Files with
// numbers further away do not belong to the recording, and are left alone.
func (s *State) include(l *listing, most uint64) {
	files := numbers(l.segments, l.parts)
	if len(s.Rows) == 0 && !s.hasBase() {
		if s.Next == 0 {
			files = densest(files)
		}
		first := s.first
		for s.Next > 0 && len(files) > 0 && files[0]+maxSkip <= first {
			files = files[1:]
		}
		if len(files) > 0 && (s.Next == 0 || files[0] < first) {
			first = files[0]
		} else if s.Next == 0 {
			return
		}
		s.Guessed, s.Meta.Base, s.Base, s.Next = true, &first, first, max(s.Next, first)
	}
	skipped := uint64(0)
	for _, n := range files {
		if n < s.Next {
			continue
		}
		if skipped += n - s.Next; skipped >= most {
			return
		}
		s.Next = n + 1
	}
}

// densest returns, from ascending numbers, the largest group without a gap greater than maxSkip.
func densest(list []uint64) (best []uint64) {
	for begin := 0; begin < len(list); {
		end := begin + 1
		for end < len(list) && list[end]-list[end-1] < maxSkip {
			end++
		}
		if end-begin > len(best) {
			best = list[begin:end]
		}
		begin = end
	}
	return best
}

// settled reports whether a segment's bytes are no longer needed.
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
	data, err := regular.ReadAll(f, maxJournal)
	return data, errors.Join(err, f.Close())
}

// maxJournal bounds a journal in bytes: a segment takes about 60, so this is enough for months without a restart, and a restart rewrites
// the journal.
const maxJournal = 256 << 20

// eachFolder visits every folder that can hold a recording.
func (s *Spool) eachFolder(ctx context.Context, visit func(id ID, dir string, l *listing)) error {
	return s.eachFolderIn(ctx, s.o.Dir, visit)
}

func (s *Spool) eachFolderIn(ctx context.Context, root string, visit func(id ID, dir string, l *listing)) error {
	return s.eachDir(ctx, root, func(app string) error {
		streams := filepath.Join(root, app, "streams")
		return s.eachDir(ctx, streams, func(stream string) error {
			return s.eachDir(ctx, filepath.Join(streams, stream), func(recording string) error {
				dir := filepath.Join(streams, stream, recording)
				l, err := s.list(dir)
				if errors.Is(err, fs.ErrNotExist) {
					return nil // it was finished meanwhile
				}
				if err != nil {
					return err
				}
				visit(ID{App: app, Stream: stream, Recording: recording}, dir, l)
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
	var bad []error // one unreadable folder says nothing about the others
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

// isDir reports whether an entry is a directory, or a link to one outside the spool: an operator may have moved an app's recordings to
// another disk, and what is written through a link must be found again. A link into the spool is a second name for its target, and not
// followed.
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

// outside reports whether a folder is reached by a link from the spool and lies elsewhere. If that cannot be determined, it counts as
// elsewhere.
func (s *Spool) outside(dir string) bool {
	to, err := filepath.EvalSymlinks(dir)
	root, err2 := filepath.EvalSymlinks(s.o.Dir)
	if err != nil || err2 != nil {
		return true
	}
	rel, err := filepath.Rel(root, to)
	return err != nil || !filepath.IsLocal(rel)
}
