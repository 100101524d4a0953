package segmenter

// slide moves the window on, and lets go of the memory of segments that left it: at once where the next shelf has them,
// else so long after that no player can ask for them any more, which is the playlist's duration, their own, and the time
// that a cached playlist may be old.
func (w *writer) slide() {
	defer w.advanceSplits()
	want := max(ticks(w.o.Window), int64(3*w.target)*Clock)
	i, sum := len(w.entries), int64(0)
	for i > w.first && (sum < want || len(w.entries)-i < minWindow) {
		i--
		sum += w.entries[i].Duration
	}
	w.first = max(w.first, i)
	keep, hold := w.first, sum+2*int64(w.target)*Clock
	oldest := len(w.entries) - len(w.segments)
	for keep > oldest && hold > 0 {
		keep--
		hold -= w.entries[keep].Duration
	}
	for keep < w.first && keep >= oldest && (w.segments[keep-oldest] == nil || w.segments[keep-oldest].Shelved()) {
		keep++
	}
	w.evict(keep - oldest)
	w.evict(w.overBudget())
}

// overBudget is how many of the oldest segments in memory have to go, because all streams together hold more than the
// budget and this one more than its share. The newest segment stays: every viewer wants it.
func (w *writer) overBudget() (n int) {
	if w.memory <= 0 || w.stats.MemoryBytes.Load() <= w.memory {
		return 0
	}
	share := w.memory / max(1, w.stats.Recordings.Load())
	held := int64(0)
	for _, s := range w.segments {
		if s != nil {
			held += s.Size
		}
	}
	for n < len(w.segments)-1 && held > share {
		if s := w.segments[n]; s != nil {
			if !s.shelved.Load() {
				break
			}
			held -= s.Size
		}
		n++
	}
	return n
}

// minWindow is the least number of segments in a playlist, where there are so many.
const minWindow = 6

// evict lets go of the n oldest segments in memory. The slice is copied, because snapshots share it.
func (w *writer) evict(n int) {
	if n <= 0 {
		return
	}
	for _, s := range w.segments[:n] {
		if s == nil {
			continue
		}
		w.stats.MemoryBytes.Add(-s.Size)
		s.Release()
	}
	w.segments = append(make([]*Segment, 0, len(w.segments)-n+8), w.segments[n:]...)
}
