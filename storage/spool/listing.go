package spool

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// listing is the content of a recording's folder. Only regular files have a size.
type listing struct {
	types    map[string]fs.FileMode // of everything
	segments map[uint64]int64       // bytes of the files with the name of a segment
	parts    map[uint64]int64       // of those with the name of one being written
	odd      []string               // things with such a name that are not files, in words
}

// has reports whether anything has the name.
func (l *listing) has(name string) bool { _, ok := l.types[name]; return ok }

// empty reports whether no file has the name of a segment, complete or begun.
func (l *listing) empty() bool { return len(l.segments)+len(l.parts) == 0 }

// list reads a folder.
func (s *Spool) list(dir string) (*listing, error) {
	entries, err := s.fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	l := &listing{types: make(map[string]fs.FileMode, len(entries)), segments: map[uint64]int64{}, parts: map[uint64]int64{}}
	for _, e := range entries {
		name, in := e.Name(), l.segments
		l.types[name] = e.Type()
		seq, ok := numbered(name, "", ".ts", segPattern)
		if !ok {
			seq, ok = numbered(name, ".", ".ts.tmp", tempPattern)
			in = l.parts
		}
		if !ok {
			continue
		}
		if !e.Type().IsRegular() {
			l.odd = append(l.odd, fmt.Sprintf("%q is %s", name, regular.What(e.Type())))
			continue
		}
		if info, err := e.Info(); err == nil { // otherwise it was evicted meanwhile
			in[seq] = info.Size()
		}
	}
	slices.Sort(l.odd)
	return l, nil
}

// numbered extracts the number from a file's name. It returns false if the pattern would not give exactly that name for it.
func numbered(name, prefix, suffix, pattern string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || !strings.HasPrefix(digits, prefix) {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits[len(prefix):], 10, 62)
	return seq, err == nil && fmt.Sprintf(pattern, seq) == name
}

// maxTold bounds how many things of a kind one message lists.
const maxTold = 10

// tell joins reports on many things of a kind into one sentence.
func tell(list []string) string {
	if more := len(list) - maxTold; more > 0 {
		return fmt.Sprintf("%s, and %d more", strings.Join(list[:maxTold], ", "), more)
	}
	return strings.Join(list, ", ")
}

// numbers returns the numbers of the files of one or two kinds, ascending.
func numbers(files ...map[uint64]int64) (list []uint64) {
	for _, m := range files {
		list = slices.AppendSeq(list, maps.Keys(m))
	}
	slices.Sort(list)
	return slices.Compact(list)
}
