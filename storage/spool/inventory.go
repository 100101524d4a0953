package spool

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// Inventory counts the segments of finished recordings, so that they can be evicted. It reads every folder and may take its time; until
// then the cap counts only unfinished recordings.
func (s *Spool) Inventory(ctx context.Context) error {
	type dated struct {
		file
		modified time.Time
	}
	var files []dated
	sizes := map[string]map[uint64]int64{}
	err := s.eachFolder(ctx, func(id ID, dir string, l *listing) {
		if !l.has(finishedName) || l.has(journalName) {
			return
		}
		f := &Folder{s: s, id: id, dir: dir, key: s.rel(dir), made: true, done: true}
		n := len(files)
		sizes[f.key] = s.finished(id, dir, l)
		for seq, size := range l.segments {
			info, err := os.Lstat(f.path(segmentFile(seq)))
			if err != nil {
				continue // it was evicted meanwhile
			}
			one := file{in: f, sequence: seq, size: size}
			if _, ok := sizes[f.key][seq]; !ok {
				one.size, one.foreign = 0, true
			}
			files = append(files, dated{one, info.ModTime()})
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
			continue // it was finished meanwhile
		}
		f.in.files++
		if !f.foreign {
			s.index.put(f.in.key, f.sequence, f.size)
		}
		old = append(old, f.file)
		s.stats.Bytes.Add(f.size)
		s.stats.Files.Add(1)
	}
	s.files = append(old, s.files...)
	if s.inventoried = err == nil; s.inventoried {
		clear(s.looked) // the index has them all
	}
	s.mu.Unlock()
	s.makeRoom(0)
	if err != nil {
		return fmt.Errorf("read spool: %w", err)
	}
	return nil
}
