package segmenter

import "github.com/hlsorigin/hlsorigin/ingest/codec"

// Bounds of the live playlist in segments.
const (
	minWindow = 6   // where there are so many
	maxWindow = 512 // or as many as the window asks for: time lines that break without end make segments of a frame each
)

// slide moves the window on, and lets go of the memory of segments that left it: at once where the next shelf has them,
// else so long after that no player can ask for them any more, which is the playlist's duration, their own, and the time
// that a cached playlist may be old.
func (l *log) slide() {
	t := &l.table
	want := max(codec.Ticks(l.o.Window), int64(3*l.target)*Clock)
	most := max(maxWindow, int(l.o.Window/max(l.o.SegmentDuration, 1)))
	i, sum := len(t.rows), int64(0)
	for i > t.first && (sum < want || len(t.rows)-i < minWindow) && len(t.rows)-i < most {
		i--
		sum += t.rows[i].Duration
	}
	t.first = max(t.first, i)
	keep, hold := t.first, sum+2*int64(l.target)*Clock
	oldest := len(t.rows) - len(t.segments)
	for keep > oldest && hold > 0 && len(t.rows)-keep < 2*most {
		keep--
		hold -= t.rows[keep].Duration
	}
	for keep < t.first && keep >= oldest && (t.segments[keep-oldest].Shelved()) {
		keep++
	}
	l.evict(keep - oldest)
	l.evict(l.overBudget())
	l.split.advance(t, l.o.ArchiveSplit)
}

// overBudget is how many of the oldest segments in memory have to go, because all streams together hold more than the
// budget and this one more than its share. The newest segment stays: every viewer wants it.
func (l *log) overBudget() (n int) {
	if l.memory <= 0 || l.stats.MemoryBytes.Load() <= l.memory {
		return 0
	}
	segments := l.table.segments
	share := l.memory / max(1, l.stats.Recordings.Load())
	held := int64(0)
	for _, s := range segments {
		held += s.Size
	}
	for n < len(segments)-1 && held > share {
		s := segments[n]
		if !s.shelved.Load() && !s.Gap {
			break
		}
		held -= s.Size
		n++
	}
	return n
}

func (l *log) evict(n int) { l.stats.MemoryBytes.Add(-l.table.evict(n)) }
