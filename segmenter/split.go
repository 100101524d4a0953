package segmenter

// advanceSplits finishes the timestamped playlist and begins the next where a row lies ArchiveSplit or more after the
// first of the current one, as the archive does by the same rule. What only finished playlists name is forgotten once
// the window is past it: the bucket has it, and a channel that never ends must not grow for ever.
func (w *writer) advanceSplits() {
	if w.o.ArchiveSplit <= 0 {
		return
	}
	w.splitFirst, w.splitSeen = max(w.splitFirst, w.base), max(w.splitSeen, w.base)
	for ; w.splitSeen < w.next(); w.splitSeen++ {
		e, first := w.row(w.splitSeen), w.row(w.splitFirst)
		if e == nil || first == nil || e.Start.Sub(first.Start) < w.o.ArchiveSplit {
			continue
		}
		w.splitFirst, w.splitName = e.Sequence, NewRecordingID(e.Start)
		w.archive = &archive{r: w.renderer, first: e.Sequence}
	}
	inMemory := len(w.entries) - len(w.segments)
	if n := min(int(w.splitFirst-w.base), w.first, inMemory); n > 0 && n >= len(w.entries)/2 {
		w.entries = append(make([]Entry, 0, 2*(len(w.entries)-n)), w.entries[n:]...)
		w.base += uint64(n)
		w.first -= n
	}
}

// row is a row of the table by its number; nil where it is forgotten or does not exist.
func (w *writer) row(number uint64) *Entry {
	if number < w.base || number >= w.next() {
		return nil
	}
	return &w.entries[number-w.base]
}

// archiveName names the timestamped playlist that grows now: the recording's own id, or that of the split.
func (w *writer) archiveName() RecordingID {
	if w.splitName != "" {
		return w.splitName
	}
	return w.t.id
}
