package segmenter

import (
	"errors"
	"time"
)

// Recovered is what storage knows of an unfinished recording after a restart.
type Recovered struct {
	Key
	Recording      RecordingID
	TargetDuration int // seconds
	// Base is the number of the first entry; Entries[i].Sequence == Base + i, gaps included.
	Base    uint64
	Entries []Entry
	// Next is the first number that was never opened. A number from the end of Entries up to it may have been shown to a
	// viewer without its bytes having survived: it becomes a gap and is not used again.
	Next uint64
	// SplitFirst and SplitName are the timestamped playlist that grows: the number of its first segment, and its name; where
	// it is the recording's first, Base and no name.
	SplitFirst uint64
	SplitName  RecordingID
	Variant    Variant
	LastFrame  time.Time
}

// Restore takes up a recording after a restart. Where its publisher may still return it waits for it, else it is ended
// at once, so that those who follow it can finish the archive.
func (r *Registry) Restore(rec Recovered) error {
	if _, ok := rec.Recording.Time(); !ok || !ValidName(rec.App) || !ValidStream(rec.Stream) {
		return errors.New("recovered recording has a bad name: " + rec.Key.String() + "/" + string(rec.Recording))
	}
	app, known := r.o.Apps[rec.App]
	if !known {
		app = DefaultAppOptions()
	}
	now := r.o.Now()
	t := r.newTimeline(rec.Key, rec.Recording, &app, rec.LastFrame)
	t.w.restore(rec, now)
	if m := r.ladders.rung(rec.Key); m != nil && m.restore(t, rec, t.w.end, t.w.state == Ended) {
		t.w.member = m
	}
	if over := r.takeUp(t); over != nil {
		over.finish(now)
	}
	return nil
}

// takeUp makes t known. Of two recordings of one stream the older one is over: it is the result.
func (r *Registry) takeUp(t *Timeline) (over *Timeline) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.streams[t.key]
	if st == nil {
		st = &stream{key: t.key}
		r.streams[t.key] = st
	}
	if over = st.current; over == nil || over.id <= t.id {
		r.add(st, t)
		return over
	}
	st.past = append(st.past, t)
	r.tell()
	return t
}
