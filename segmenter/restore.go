package segmenter

import (
	"errors"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// Recovered is what storage knows of an unfinished recording after a restart.
type Recovered struct {
	Key
	Recording      RecordingID
	TargetDuration int // seconds
	// PartTarget is PART-TARGET in 90 kHz ticks; 0: it had no parts.
	PartTarget int64
	// Base is the number of the first entry; Rows[i].Sequence == Base + i, gaps included.
	Base uint64
	Rows []Row
	// First is the number of the first segment in the live playlist, as viewers were last shown it: it never falls. 0 is not known.
	First uint64
	// Short is how many of the last rows may have been shown to viewers longer than they are now.
	Short int
	// Confirmed is the number before which the store has every segment, or never will have it. Where viewers wait for it, they are shown
	// what comes before it, and the rest by Timeline.Confirm; else it means nothing.
	Confirmed uint64
	// Next is the first number that was never opened. A number from the end of Rows up to it may have been shown to a
	// viewer without its bytes having survived: it becomes a gap and is not used again.
	Next uint64
	// SplitFirst and SplitName are the timestamped playlist that grows: the number of its first segment, and its name; where
	// it is the recording's first, Base and no name.
	SplitFirst uint64
	SplitName  RecordingID
	Variant    variant.Variant
	LastFrame  time.Time
	// Newest is the bytes of the newest segment that is no gap, whole packets; nil where they are not at hand. What stands in
	// the place of lost segments is made of them.
	Newest []byte
}

// Restore takes up a recording after a restart. Where its publisher may still return it waits for it, else it is ended
// at once, so that those who follow it can finish the archive.
func (r *Registry) Restore(rec Recovered) error {
	if _, ok := rec.Recording.Time(); !ok || !ValidName(rec.App) || !KnownStream(rec.Stream) {
		return errors.New("recovered recording has a bad name: " + rec.Key.String() + "/" + string(rec.Recording))
	}
	app, known := r.app(rec.App)
	if !known {
		app = DefaultAppOptions()
	}
	now := r.o.Now()
	t := &Timeline{key: rec.Key, id: rec.Recording}
	c := newRecording(t, r, &app, rec.LastFrame)
	c.restore(rec, now)
	if m := r.ladders.restore(c, rec); m != nil {
		c.join(m)
	}
	if over := r.takeUp(t); over != nil {
		over.stop(now, false)
	}
	if w, ok := r.Whole(rec.Key); ok {
		r.ladders.ladder(w.Key).restoreAudio()
	}
	return nil
}

// restoreAudio makes the audio-only variant of a ladder of what was restored of it, as soon as both are there: so it is listed before the first
// rung, which it is made from, is back. l may be nil.
func (l *presentation) restoreAudio() {
	if l == nil || !l.o.Audio {
		return
	}
	t := l.r.current(Key{l.key.App, l.key.Stream + AudioSuffix})
	l.mu.Lock()
	missing := l.audio == nil && l.show != nil && t != nil && l.show.t.id == t.id && t.Snapshot().Whole().State != Ended
	l.mu.Unlock()
	if !missing {
		return
	}
	audio := companionOf(t, l.r)
	if audio == nil {
		return
	}
	audio.lead(l.rungs[l.names[0]])
	t.ladder.Store(&l.shown)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.audio == nil && l.show != nil && l.show.t.id == t.id {
		l.audio = audio
	}
}

// restore takes the table over from storage. Numbers that were opened but whose bytes did not survive become gaps.
func (c *recording) restore(rec Recovered, now time.Time) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	l := &c.rows
	begun, _ := rec.Recording.Time()
	rows, next := rec.Rows, rec.Base+uint64(len(rec.Rows))
	for ; next < rec.Next; next++ {
		e := Row{Sequence: next, Start: begun, Duration: codec.Ticks(c.o.SegmentDuration), Gap: true}
		if n := len(rows); n > 0 {
			e.Start = rows[n-1].End()
		}
		rows = append(rows, e)
	}
	l.table.adopt(rec.Base, rows)
	l.target, l.variant = rec.TargetDuration, rec.Variant
	if rec.PartTarget > 0 && c.parts.On() {
		l.partTarget, c.parts = rec.PartTarget, cut.NewParts(c.o.parts(), rec.PartTarget)
	}
	l.split.first, l.split.name, l.split.seen = max(rec.SplitFirst, rec.Base), rec.SplitName, l.table.next()
	l.split.archive.first = l.split.first
	l.rate.Restore(rec.Variant)
	l.lastFrame, l.modified = rec.LastFrame, now
	if rec.Variant.VideoCodec != "" {
		c.has.Video = &ingest.Track{}
	}
	if rec.Variant.AudioCodec != "" {
		c.has.Audio = &ingest.Track{}
	}
	if l.target > 0 {
		c.solo.SetTarget(l.target)
	}
	if n := len(l.table.rows); n > 0 && rec.First > l.table.base {
		l.table.first = int(min(rec.First-l.table.base, uint64(n-1)))
	}
	c.pack.late = true
	// The journal knows the wall clock alone: it is asked once how much of the grace is left, and from then on nobody who sets it
	// makes that shorter or longer.
	c.ends = now.Add(min(rec.LastFrame.Add(c.o.RestartGrace).Sub(now), c.o.RestartGrace))
	if len(l.table.rows) == 0 {
		l.snapshot()
		return
	}
	l.target = c.solo.Fix(codec.Ticks(c.o.SegmentDuration))
	c.cutter.Fix(l.target)
	l.state = Stalled
	l.recall(rec.Confirmed, rec.Short)
	l.advance(rec.Short) // viewers may have been shown them longer, and the window's begin never falls
	l.slide()
	if now.Before(c.ends) {
		l.hold()
	}
	l.newest(rec.Newest)
	l.render()
	if over := c.ends; !now.Before(over) {
		c.conclude(now)
		// Its time at the stable entry runs from its end, not from the restart; those who follow it have a moment to see it.
		c.ends = over.Add(c.o.EndedTTL)
		if soon := now.Add(restoredTTL); c.ends.Before(soon) {
			c.ends = soon
		}
		return
	}
	l.snapshot()
}

// restoredTTL is the least time that a recording is known which was found to be over at a restart.
const restoredTTL = 30 * time.Second

// companionOf makes the audio-only variant of a ladder of its recording as it was restored; nil where that is something
// else.
func companionOf(t *Timeline, r *Registry) *companion {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch k := t.keeper.(type) {
	case *companion:
		return k
	case *recording:
		c := &companion{t: t, rows: k.rows}
		c.pack = packager{pool: r.o.Pool, stats: &r.stats, sink: &c.grid, sound: true, parts: k.o.LowLatency, late: true}
		t.keeper, t.rows, t.pack = c, &c.rows, &c.pack
		return c
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
