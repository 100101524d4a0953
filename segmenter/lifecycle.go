package segmenter

import (
	"errors"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// stalledAfter is the silence after which a publisher that is still connected counts as stalled.
const stalledAfter = 3 * time.Second

// attach lets a session write; false where the recording has ended.
func (t *Timeline) attach(s *session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.attach(s)
}

// detach ends a session's writing: the segment in hand is published, and the grace for the publisher's return begins.
func (t *Timeline) detach(s *session, cause error, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &t.w
	if w.owner != s {
		return
	}
	w.suspend()
	w.owner = nil
	grace := w.o.ReconnectGrace
	if errors.Is(cause, ingest.ErrUnpublished) {
		grace = w.o.EndGrace
	}
	w.end = now.Add(grace)
	if len(w.entries) > 0 {
		w.state = Stalled
	}
	if w.member != nil {
		w.member.leave(w.end)
	}
	if w.tee != nil {
		w.tee.stall()
		w.tee = nil
	}
	w.snapshot()
	w.log.Info("publisher gone", "cause", cause, "ends_in", grace)
}

// expire does what time demands; true where the recording is to be forgotten.
func (t *Timeline) expire(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &t.w
	switch {
	case w.state == Ended:
		return !now.Before(w.end)
	case w.group, w.leader != nil: // its last rung ends it
		return false
	case w.owner == nil && !now.Before(w.end):
		if w.member != nil && w.member.keeps(now) {
			return false
		}
		w.conclude(now)
		return len(w.entries) == 0
	}
	if w.closing != nil && !now.Before(w.closingBy) {
		w.finishClosing()
	}
	if w.state == Live && w.owner != nil && now.Sub(w.lastFrame) > stalledAfter {
		w.state = Stalled
		w.snapshot()
	}
	return false
}

// finish ends the recording whatever its grace.
func (t *Timeline) finish(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.w.state != Ended && !t.w.group {
		t.w.conclude(now)
	}
}

// conclude makes the recording final.
func (w *writer) conclude(now time.Time) {
	w.finish()
	w.owner, w.state, w.modified = nil, Ended, now
	w.end = now.Add(w.o.EndedTTL)
	w.stats.Recordings.Add(-1)
	if len(w.entries) > 0 {
		w.render()
	}
	w.snapshot()
	w.log.Info("recording ended", "segments", len(w.entries))
}

// forget gives the memory back.
func (t *Timeline) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.w.evict(len(t.w.segments))
}

// restore takes the table over from storage. Numbers that were opened but whose bytes did not survive become gaps.
func (w *writer) restore(rec Recovered, now time.Time) {
	w.base, w.entries, w.target, w.variant = rec.Base, rec.Entries, rec.TargetDuration, rec.Variant
	w.splitFirst, w.splitName, w.splitSeen = max(rec.SplitFirst, rec.Base), rec.SplitName, rec.Base+uint64(len(rec.Entries))
	w.archive.first = w.splitFirst
	w.rate.shown = rec.Variant
	w.rate.peak = rec.Variant.Bandwidth
	if w.target > 0 {
		w.cadence.target = w.target
	}
	if len(w.entries) > 0 {
		w.discontinuity = w.entries[0].DiscontinuitySequence // of what came before Base
	}
	for i := range w.entries {
		w.entries[i].DiscontinuitySequence = w.discontinuity
		if w.entries[i].Discontinuity {
			w.discontinuity++
		}
	}
	w.lastFrame, w.modified = rec.LastFrame, now
	if t, ok := rec.Recording.Time(); ok {
		w.begun = t
	}
	for next := w.base + uint64(len(w.entries)); next < rec.Next; next++ {
		w.entries = append(w.entries, Entry{
			Sequence: next, Start: w.endOfEntries(), Duration: w.cadence.segment, Gap: true, DiscontinuitySequence: w.discontinuity,
		})
	}
	w.end = rec.LastFrame.Add(w.o.RestartGrace)
	if len(w.entries) == 0 {
		w.snapshot()
		return
	}
	w.target = w.cadence.fix(w.cadence.segment)
	w.state = Stalled
	w.slide()
	w.render()
	if over := w.end; !now.Before(over) {
		w.conclude(now)
		// Its time at the stable entry runs from its end, not from the restart; those who follow it have a moment to see it.
		w.end = over.Add(w.o.EndedTTL)
		if soon := now.Add(restoredTTL); w.end.Before(soon) {
			w.end = soon
		}
		return
	}
	w.snapshot()
}

// restoredTTL is the least time that a recording is known which was found to be over at a restart.
const restoredTTL = 30 * time.Second
