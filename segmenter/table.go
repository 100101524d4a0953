package segmenter

import (
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cue"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// table is the rows of a recording, and the bytes of the newest of them. Rows are never changed once they are in it; the
// slices are shared with snapshots, so what leaves them leaves by a copy.
type table struct {
	base     uint64 // number of the first row
	rows     []Row
	segments []*Segment // in memory, of the newest rows; of gaps what stands in for them
	first    int        // index of the first row in the live playlist
	breaks   uint64     // discontinuities so far
	gaps     int        // among rows
	cues     cue.Book

	waits  bool // viewers are shown a row when it is confirmed: Options.Confirmed
	listed int  // and so many are
}

// shown is how many of the rows viewers are shown.
func (t *table) shown() int {
	if t.waits {
		return t.listed
	}
	return len(t.rows)
}

// until is the index of a number, within bounds.
func (t *table) until(number uint64) int {
	return int(min(max(number, t.base)-t.base, uint64(len(t.rows))))
}

// next is the number after the last row.
func (t *table) next() uint64 { return t.base + uint64(len(t.rows)) }

// end is the wall time at which the last row ends; zero where there is none.
func (t *table) end() time.Time {
	if len(t.rows) == 0 {
		return time.Time{}
	}
	e := &t.rows[len(t.rows)-1]
	return e.Start.Add(cut.Duration(e.Duration))
}

// row is a row by its number; nil where it is forgotten or does not exist.
func (t *table) row(number uint64) *Row {
	if number < t.base || number >= t.next() {
		return nil
	}
	return &t.rows[number-t.base]
}

// add appends a row with its segment.
func (t *table) add(e Row, s *Segment) {
	if e.Cues == "" && e.Running == "" { // else it was in the table before
		e.Cues, e.Running = t.cues.Place(e.Sequence, e.Start)
		s.Cues, s.Running = e.Cues, e.Running
	}
	e.DiscontinuitySequence = t.breaks
	s.DiscontinuitySequence = t.breaks
	if e.Discontinuity {
		t.breaks++
	}
	if e.Gap {
		t.gaps++
	}
	t.rows = append(t.rows, e)
	t.segments = append(t.segments, s)
}

// adopt takes rows over from storage.
func (t *table) adopt(base uint64, rows []Row) {
	t.base, t.rows, t.gaps = base, rows, countGaps(rows)
	if len(rows) > 0 {
		t.breaks = rows[0].DiscontinuitySequence // of what came before
	}
	for i := range rows {
		rows[i].DiscontinuitySequence = t.breaks
		if rows[i].Discontinuity {
			t.breaks++
		}
	}
	for i := range rows {
		if e := &rows[i]; e.Cues != "" || e.Running != "" {
			t.cues.Resume(e.Cues, e.Running)
		} else { // it may be made up for what a crash lost
			e.Cues, e.Running = t.cues.Place(e.Sequence, e.Start)
		}
	}
}

// drop forgets the n oldest rows, whose bytes are not in memory any more.
func (t *table) drop(n int) {
	t.gaps -= countGaps(t.rows[:n])
	t.rows = append(make([]Row, 0, 2*(len(t.rows)-n)), t.rows[n:]...)
	t.base += uint64(n)
	t.first -= n
	t.listed -= n
}

func countGaps(rows []Row) (n int) {
	for i := range rows {
		if rows[i].Gap {
			n++
		}
	}
	return n
}

// evict lets go of the n oldest segments in memory, and reports their bytes.
func (t *table) evict(n int) (bytes int64) {
	if n <= 0 {
		return 0
	}
	for _, s := range t.segments[:n] {
		bytes += s.Size
		s.Release()
	}
	t.segments = append(make([]*Segment, 0, len(t.segments)-n+8), t.segments[n:]...)
	return bytes
}

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
	for end := t.base + uint64(t.shown()); s.seen < end; s.seen++ {
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

// What a log does where viewers wait for a store.

// confirm shows viewers what comes before a number, those in lost as gaps. It reports whether that is news.
func (l *log) confirm(next uint64, lost []uint64) bool {
	t := &l.table
	n := t.until(next)
	if !t.waits || n <= t.listed {
		return false
	}
	for _, number := range lost {
		if i := t.until(number); i >= t.listed && i < n {
			l.lose(i)
		}
	}
	t.listed = n
	l.slide()
	l.modified = l.now()
	l.render()
	l.snapshot()
	return true
}

// lose makes a row that nobody has been shown a gap, and its segment what stands in for it. Snapshots share the rows: they are copied.
func (l *log) lose(i int) {
	t := &l.table
	if t.rows[i].Gap {
		return
	}
	t.rows = slices.Clone(t.rows)
	e := &t.rows[i]
	e.Gap, e.Size, e.CRC32C = true, 0, 0
	t.gaps++
	at := i - (len(t.rows) - len(t.segments))
	if at < 0 {
		return
	}
	b := l.pool.Buffer()
	if at == 0 || !mpegts.Still(b, t.segments[at-1].buf, t.rows[i-1].Duration) {
		l.variant.Begin(b)
	}
	old, s := t.segments[at], newSegment(*e, b)
	t.segments = slices.Clone(t.segments)
	t.segments[at] = s
	l.stats.MemoryBytes.Add(s.Size - old.Size)
	old.Release()
	l.relief.left([]*Segment{old})
}

// recall sets what viewers are shown of a table that was restored. They have seen nothing after what is confirmed, so that their window
// began no later than one that ends there; what storage says of its beginning counts all rows.
func (l *log) recall(confirmed uint64, short int) {
	t := &l.table
	if !t.waits {
		return
	}
	t.listed = t.until(confirmed)
	if t.listed < len(t.rows) {
		was := t.first
		t.first = 0
		first, _ := l.window(t.listed, short)
		t.first = min(was, first)
	}
}

// unlisted is a snapshot with what viewers wait for.
func (l *log) unlisted(s *Snapshot) *Snapshot {
	t, w := &l.table, *s
	w.State, w.Rows, w.Segments, w.Gaps, w.viewed = l.state, t.rows, t.segments, t.gaps, s
	w.First, _ = l.window(len(t.rows), 0)
	return &w
}

// seen is the state that viewers see: nothing has begun before they are shown a segment, nor ended before they are shown all.
func (l *log) seen() State {
	switch n := l.table.shown(); {
	case n == len(l.table.rows), l.t.yielded.Load(): // nobody is shown what goes on elsewhere
		return l.state
	case n == 0:
		return Starting
	case l.state == Ended:
		return Stalled
	}
	return l.state
}

// crowd is from which row on segments stay in memory where many wait to be listed, because the store is away: for as long as those
// of a window stay otherwise, which is some two windows, and beyond that those which the next shelf does not have either, as long as there
// are not too many of them.
func (l *log) crowd(keep int, usual int64) int {
	t := &l.table
	oldest, i := len(t.rows)-len(t.segments), len(t.rows)
	for left := max(usual, 2*codec.Ticks(l.o.Window)); i > keep && left > 0; i-- {
		left -= t.rows[i-1].Duration
	}
	for keep < i && (keep < oldest || t.segments[keep-oldest].Shelved()) {
		keep++
	}
	return max(keep, len(t.rows)-2*l.mostRows())
}
