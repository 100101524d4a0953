package mirror

import (
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// confirm records that a target holds a segment. It takes r.mu itself.
func (r *recording) confirm(target int, sequence uint64) {
	r.mu.Lock()
	w := r.row(sequence)
	if w.none() || w.is(confirmed<<target) {
		r.mu.Unlock()
		return
	}
	l := r.lanes[target]
	if !w.settled(target) { // it may have been given up meanwhile
		l.lacks(-1, -w.Size)
	}
	w.set(confirmed<<target, true)
	r.note(event{kind: confirm, target: target, sequence: sequence})
	r.m.tell(Notice{Kind: SegmentUploaded, Key: r.key, Recording: r.id, Target: l.u.name, Row: *w.Row})
	r.tellLost(false)
	r.m.roomy()
	done := r.letOff(w)
	r.settle()
	r.mu.Unlock()
	r.m.memory.release(done)
	r.changed()
	r.show()
}

// rendered records that a target has a segment as CMAF, or, of which there is no coding, never will have. It reports whether that is
// otherwise than with the segment before. It takes r.mu itself.
func (r *recording) rendered(l *lane, sequence uint64, c tracks.Coding) (news bool) {
	r.mu.Lock()
	w := r.row(sequence)
	if w.none() || w.settled(l.target) {
		r.mu.Unlock()
		return false
	}
	if i := r.codeOf(c); i >= 0 {
		w.setCode(i)
		w.set(confirmed<<l.target, true)
	} else {
		w.set(refused<<l.target, true)
		c = tracks.Coding{}
	}
	l.lacks(-1, 0)
	r.note(event{kind: rendered, target: l.target, sequence: sequence, coding: c})
	news, r.unmade = r.unmade != c.None(), c.None()
	done := r.letOff(w)
	r.settle()
	r.mu.Unlock()
	r.m.memory.release(done)
	r.changed()
	return news
}

// codeOf is the index of a coding in codings, to which it is added; below 0: it is none, or there are too many.
func (r *recording) codeOf(c tracks.Coding) int {
	if c.None() {
		return -1
	}
	if i := slices.Index(r.codings, c); i >= 0 {
		return i
	}
	if len(r.codings) >= maxCodings {
		return -1
	}
	r.codings = append(r.codings, c)
	return len(r.codings) - 1
}

// codingOf is how a segment is coded that the store has; none where it has it not.
func (l *lane) codingOf(w row) tracks.Coding {
	if i := w.code(); i >= 0 && w.is(confirmed<<l.target) {
		return l.r.codings[i]
	}
	return tracks.Coding{}
}

// letOff takes a segment out of memory that nobody needs there any more; nil: it is not there, or somebody does.
func (r *recording) letOff(w row) *segmenter.Segment {
	if !r.done(w) {
		return nil
	}
	seg := r.memory[w.Sequence]
	delete(r.memory, w.Sequence)
	return seg
}

// refuse records that a target will never have the segment, for example because it has different content under its name. It takes r.mu
// itself.
func (r *recording) refuse(target int, sequence uint64, why string) {
	r.mu.Lock()
	var done *segmenter.Segment
	if w := r.row(sequence); !w.none() && !w.settled(target) {
		l := r.lanes[target]
		l.lacks(-1, -w.Size)
		w.set(refused<<target, true)
		r.lost(w, l.u.name, why)
		for _, c := range r.tracks {
			if c.of == l && !w.settled(c.target) {
				c.lacks(-1, 0)
				w.set(refused<<c.target, true)
			}
		}
		done = r.letOff(w)
		r.settle()
	}
	r.mu.Unlock()
	r.m.memory.release(done)
	r.m.stats.Gaps.Add(1)
	r.changed()
	r.show()
}

// show lets viewers see what the first store lists, where they wait for that (segmenter.Options.Confirmed): see lane.fences. What the store
// will never have they see as gaps. It takes r.mu itself.
func (r *recording) show() {
	r.mu.Lock()
	line := r.line
	if line == nil || len(r.lanes) == 0 {
		r.mu.Unlock()
		return
	}
	seen := line.Snapshot()
	if seen.Unlisted() == 0 {
		r.mu.Unlock()
		return
	}
	next, lost := min(r.lanes[0].listable, r.lanes[0].fenced, r.next()), []uint64(nil)
	for seq := max(seen.Next(), r.base); seq < next; seq++ {
		if w := r.row(seq); !w.Gap && w.lost(0) {
			lost = append(lost, seq)
			r.own = max(r.own, seq+1) // the other store may have it: the timeline's row says something else now
		}
	}
	r.mu.Unlock()
	if next > seen.Next() {
		line.Confirm(next, lost...)
	}
}

// done reports whether no target needs the segment any more, and safe, whether no store needs its transport stream: the rest can be made of
// what a store has.
func (r *recording) done(w row) bool {
	for _, l := range r.ways {
		if !w.settled(l.target) {
			return false
		}
	}
	return true
}

func (r *recording) safe(w row) bool {
	for t := range r.lanes {
		if !w.is((confirmed | refused) << t) {
			return false
		}
	}
	return true
}

// drop gives up a segment: its bytes are nowhere any more, or never were what they should be. It takes r.mu itself, and reports whether
// that was new.
func (r *recording) drop(sequence uint64, why string) bool {
	r.mu.Lock()
	w := r.row(sequence)
	if w.none() || w.Gap || w.is(isDropped) || r.safe(w) {
		r.mu.Unlock()
		return false
	}
	for _, l := range r.ways {
		if !w.is((confirmed | refused) << l.target) {
			l.lacks(-1, -w.Size)
		}
	}
	w.set(isDropped, true)
	w.set(onDisk, false)
	r.note(event{kind: dropped, sequence: sequence})
	r.lost(w, "", why)
	seg := r.memory[sequence]
	delete(r.memory, sequence)
	size := w.Size
	r.settle()
	r.mu.Unlock()
	r.m.memory.release(seg)
	r.m.stats.Gaps.Add(1)
	r.m.stats.DroppedBytes.Add(size)
	r.changed()
	r.show()
	return true
}

// Need implements spool.Owner.
func (r *recording) Need(sequence uint64) spool.Need {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.row(sequence)
	switch {
	case w.none():
		return spool.Free
	case !r.safe(w) && !w.Gap && !w.is(isDropped):
		return spool.Unsent
	case !r.done(w):
		return spool.Wanted // it would have to be read from a store again
	case !r.ended && sequence+2*uint64(r.window)+2 >= min(r.next(), r.first+uint64(r.window)):
		// In the live playlist, or out of it for so short a time that caches may still hold a playlist with it.
		return spool.Wanted
	}
	return spool.Free
}

// Dropped implements spool.Owner.
func (r *recording) Dropped(sequence uint64) {
	r.mu.Lock()
	if w := r.row(sequence); !w.none() {
		w.set(onDisk, false)
	}
	held := r.memory[sequence] != nil
	r.mu.Unlock()
	const why = "the spool is full"
	if !held && r.drop(sequence, why) {
		r.m.episodes.Dropped(r.m.log, why, r.m.o.Now())
	}
}

// lostEvery is the least time between two notices about one recording's lost segments.
const lostEvery = 10 * time.Second

// lost reports that a segment is a gap in the archive, or counts it for the next notice. r.mu is held.
func (r *recording) lost(w row, target, why string) {
	l := &r.losses
	if l.n == 0 {
		l.first = *w.Row
	}
	l.n++
	l.target, l.why = target, why
	r.tellLost(false)
}

// tellLost reports what was lost and only counted, if that is due or now is set. r.mu is held.
func (r *recording) tellLost(now bool) {
	l, at := &r.losses, r.m.o.Now()
	if l.n == 0 || !now && at.Sub(l.told) < lostEvery {
		return
	}
	r.m.tell(Notice{Kind: SegmentsLost, Key: r.key, Recording: r.id, Target: l.target, Row: l.first, Lost: l.n, Reason: l.why})
	*l = losses{told: at}
}

// losses are lost segments that were not reported yet.
type losses struct {
	first       segmenter.Row
	n           int
	target, why string    // of the last
	told        time.Time // of the last notice
}
