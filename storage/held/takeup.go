package held

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Found is how many segments an earlier process left, by what became of them.
type Found struct {
	Taken   int // they are held again
	Known   int // the spool has them
	Old     int // too old to be asked for, or there was no room for them
	Damaged int // half of one, as a crash leaves it: its sender was not told that it had been taken
	Left    int // files that are left where they are: of another version, or not to be read
}

// TakeUp reads what an earlier process left, the newest first, and removes what nobody can want: what came longer ago than most, what is
// known, and what take does not want. done is as Keep's. It is called before anything else, and by one process at a time. The error is of
// what could not be read, and the rest is fine.
func (b *Box) TakeUp(ctx context.Context, most time.Duration, known func(*Segment) bool, take func(s *Segment, done func(passed bool)) bool) (f Found, err error) {
	names, err := b.list()
	b.heads = nil
	var bad []error
	if err != nil {
		bad = append(bad, err)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return f, err
		}
		n, _ := number(name)
		b.next = max(b.next, n)
		fate := &f.Old
		s, err := b.read(name, func(s *Segment) bool {
			switch age := b.o.Now().Sub(s.At).Abs(); {
			case known(s):
				fate = &f.Known
			case age <= most && !b.over(s.Size):
				fate = &f.Taken
			}
			return fate == &f.Taken
		})
		switch {
		case errors.Is(err, errDamaged):
			fate = &f.Damaged
		case err != nil:
			f.Left++
			bad = append(bad, &fs.PathError{Op: "read", Path: b.path(name), Err: err})
			continue
		case fate == &f.Taken:
			if !b.takeUp(name, &s, take) {
				fate = &f.Old
			}
			*fate++
			continue
		}
		*fate++
		b.remove(name)
	}
	return f, errors.Join(bad...)
}

// list returns the names of the files, the newest first.
func (b *Box) list() (names []string, err error) {
	entries, err := os.ReadDir(b.dir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if _, ours := number(e.Name()); ours && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, err
}

// Find returns the bytes of a segment that an earlier process left; nil: it is not there. It is called before TakeUp, by one goroutine at a time.
func (b *Box) Find(size int64, crc32c uint32) []byte {
	if b.heads == nil {
		b.heads = map[string]Segment{}
		names, _ := b.list() // TakeUp says what cannot be read
		for _, name := range names {
			if s, err := b.read(name, func(*Segment) bool { return false }); err == nil {
				b.heads[name] = s
			}
		}
	}
	for name, s := range b.heads {
		if s.Size != size || s.CRC32C != crc32c {
			continue
		}
		if s, err := b.read(name, func(*Segment) bool { return true }); err == nil {
			return s.Body
		}
	}
	return nil
}

// over reports whether there is no room for so much more.
func (b *Box) over(size int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.o.MaxBytes > 0 && b.claimed+size+fileBytes > b.o.MaxBytes
}

// takeUp hands a segment on whose file is there, and reports whether it is wanted.
func (b *Box) takeUp(name string, s *Segment, take func(*Segment, func(bool)) bool) bool {
	e := &entry{name: name, size: s.Size}
	b.mu.Lock()
	b.claimed += e.size + fileBytes
	b.mu.Unlock()
	b.Stats.Files.Add(1)
	b.Stats.Bytes.Add(e.size)
	wanted := take(s, func(passed bool) { b.done(e, passed) })
	if !wanted {
		b.done(e, false)
	}
	return wanted
}
