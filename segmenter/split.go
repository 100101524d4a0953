package segmenter

import "time"

// split is the timestamped playlist that grows now.
type split struct {
	first   uint64      // number of its first segment
	name    RecordingID // empty: the recording's own id
	seen    uint64      // the rows before it are in their splits
	archive *archive
}

// advance finishes the timestamped playlist and begins the next where a row lies every or more after the first of the
// current one, as storage does by the same rule. What only finished playlists name is forgotten once the window is past it:
// the bucket has it, and a channel that never ends must not grow for ever.
func (s *split) advance(t *table, every time.Duration) {
	if every <= 0 {
		return
	}
	s.first, s.seen = max(s.first, t.base), max(s.seen, t.base)
	for ; s.seen < t.next(); s.seen++ {
		e, first := t.row(s.seen), t.row(s.first)
		if e == nil || first == nil || e.Start.Sub(first.Start) < every {
			continue
		}
		s.first, s.name = e.Sequence, NewRecordingID(e.Start)
		s.archive = &archive{r: s.archive.r, first: e.Sequence}
	}
	inMemory := len(t.rows) - len(t.segments)
	if n := min(int(s.first-t.base), t.first, inMemory); n > 0 && n >= len(t.rows)/2 {
		t.drop(n)
	}
}
