package storage

import (
	"context"
	"errors"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// journalState is how far the journal and the files of a recording have come. Guarded by recording.mu.
type journalState struct {
	rows       uint64    // rows before it stand in the journal
	files      uint64    // rows before it are on disk, or need not be
	opened     uint64    // numbers before it are known to the journal as opened
	events     []event   // to be written
	unlogged   []event   // given to the folder, which may still be trying
	begun      time.Time // of the step that is going on; zero: none is
	meta       bool      // to be written
	splits     bool      // some are not written yet
	nsplits    int       // splits written
	superseded bool
	ended      bool // written
	compact    bool // worth writing anew, because it holds much that is settled
	marks      uint64
	marked     uint64 // requests to make all durable: made, and done
	gone       bool   // nobody writes it any more
}

type eventKind uint8

const (
	confirm eventKind = iota
	dropped
	final
)

// event is something the journal has to learn about a row that it knows.
type event struct {
	kind     eventKind
	target   int
	sequence uint64
}

func (j *journalState) start(base uint64) { j.rows, j.files = base, base }

// note keeps an event for the journal, where there is one.
func (r *recording) note(e event) {
	if r.folder != nil {
		r.journal.events = append(r.journal.events, e)
	}
}

// disk is the goroutine that may wait for the disk on behalf of one recording. Nothing waits for it but an orderly stop:
// while it hangs, segments go to the bucket from memory. It ends when the recording is complete, or after ctx has ended
// and all that was to be written is.
func (r *recording) disk(ctx context.Context) {
	pause := time.Duration(0)
	for {
		finished, err := r.diskStep()
		if finished {
			return
		}
		if err == nil {
			if pause > 0 {
				r.m.episodes.diskHealed(r.m.log, r.m.o.Now())
			}
			pause = 0
			if r.diskBusy() {
				continue
			}
			select {
			case <-r.diskUp:
			case <-ctx.Done():
				if !r.diskBusy() {
					r.closeFolder()
					return
				}
			}
			continue
		}
		r.m.stats.DiskErrors.Add(1)
		r.m.episodes.diskFailed(r.m.log, err, pause == 0, r.m.o.Now())
		pause = min(max(2*pause, r.m.o.DiskRetryMin), r.m.o.DiskRetryMax)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done(): // one last attempt was made
			timer.Stop()
			r.closeFolder()
			return
		}
	}
}

// diskBusy tells whether there is something for the disk to do.
func (r *recording) diskBusy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := &r.journal
	return j.rows < r.next() || j.opened < r.opened || len(j.events) > 0 || j.splits || j.superseded || j.marks > j.marked ||
		r.ended && !j.ended || j.compact || j.files < r.next()
}

// diskStep brings the journal up to date and writes at most one segment.
func (r *recording) diskStep() (finished bool, err error) {
	r.setBegun(r.m.o.Now())
	defer r.setBegun(time.Time{})
	if err := r.writeJournal(); err != nil {
		r.folder.Check()
		return false, err
	}
	if r.complete() {
		if err := r.folder.Finish(); err != nil {
			return false, err
		}
		r.m.forget(r)
		return true, nil
	}
	seq, seg := r.nextFile()
	if seg != nil {
		err := r.folder.Write(seq, seg.Size, seg.Slices(nil))
		if err == nil {
			seg.Shelve()
		}
		seg.Release()
		if err != nil {
			return false, err
		}
		r.written(seq)
	}
	return false, r.makeDurable()
}

func (r *recording) setBegun(t time.Time) {
	r.mu.Lock()
	r.journal.begun = t
	r.mu.Unlock()
}

// writeJournal appends what the journal does not know yet.
func (r *recording) writeJournal() error {
	r.mu.Lock()
	if r.opened == 0 && len(r.rows) == 0 {
		r.mu.Unlock()
		return nil // nothing to tell: no folder is made for it
	}
	var b spool.Batch
	whole := r.folder.Broken() || r.journal.compact
	if whole {
		r.whole(&b)
	} else {
		r.news(&b)
	}
	matters := r.advanceJournal()
	r.mu.Unlock()

	var err error
	if whole {
		err = r.folder.Rewrite(&b)
	} else if err = r.folder.Append(&b); err == nil && matters {
		err = r.folder.Durable()
	}

	r.mu.Lock()
	news := false
	if err == nil {
		if whole {
			r.journal.compact = false
		}
		news = r.logged()
	}
	r.mu.Unlock()
	if news {
		r.wakeLanes()
	}
	return err
}

// logged lets the playlists say what the journal has by now. It tells whether that was news.
func (r *recording) logged() bool {
	for _, e := range r.journal.unlogged {
		w := r.row(e.sequence)
		switch {
		case w == nil:
		case e.kind == confirm:
			w.flags |= logged << e.target
		case e.kind == dropped:
			w.flags |= logAll
		}
	}
	news := len(r.journal.unlogged) > 0
	r.journal.unlogged = r.journal.unlogged[:0]
	r.settle()
	return news
}

// gated tells whether the journal is waited for. One that fails or hangs is not: the bucket is then the better witness.
func (r *recording) gated(now time.Time) bool {
	j := &r.journal
	return r.folder != nil && !j.gone && !r.m.episodes.diskIsFailing() && (j.begun.IsZero() || now.Sub(j.begun) < journalPatience)
}

// journalPatience is how long playlists wait for a journal.
const journalPatience = time.Second

// news gathers what happened since the last time. Numbers first: a row whose number is not known as opened could be used
// twice.
func (r *recording) news(b *spool.Batch) {
	j := &r.journal
	if j.meta {
		b.Meta(r.metaRecord())
	}
	if j.opened < r.opened {
		b.Opened(r.opened-1, r.lastFrame)
	}
	for seq := j.rows; seq < r.next(); seq++ {
		b.Row(r.row(seq).record(seq))
	}
	for _, sp := range r.splits[j.nsplits:] {
		b.Split(spool.Split{First: sp.first, Name: string(sp.name)})
	}
	r.eventRecords(b)
	if j.superseded {
		b.Superseded()
	}
	if r.ended && !j.ended {
		b.Seen(r.lastFrame)
		b.Ended()
	}
}

// eventRecords joins confirmations of neighbours into one record.
func (r *recording) eventRecords(b *spool.Batch) {
	ev := r.journal.events
	for i := 0; i < len(ev); {
		n := 1
		for i+n < len(ev) && ev[i].kind != final && ev[i+n].kind == ev[i].kind && ev[i+n].target == ev[i].target &&
			ev[i+n].sequence == ev[i].sequence+uint64(n) {
			n++
		}
		switch ev[i].kind {
		case confirm:
			b.Confirmed(ev[i].target, ev[i].sequence, uint64(n))
		case dropped:
			b.Dropped(ev[i].sequence, uint64(n))
		case final:
			b.Final(ev[i].target, ev[i].sequence)
		}
		i += n
	}
}

// advanceJournal takes all as written: what the folder could not write it keeps, or asks for the whole. It tells whether
// there was something that may not get lost.
func (r *recording) advanceJournal() (matters bool) {
	j := &r.journal
	matters = j.rows < r.next() || j.opened < r.opened || j.splits || r.ended && !j.ended
	j.rows, j.opened, j.nsplits, j.ended = r.next(), r.opened, len(r.splits), r.ended
	j.unlogged = append(j.unlogged, j.events...)
	j.events, j.meta, j.splits, j.superseded = j.events[:0], false, false, false
	return matters
}

// whole gathers everything, for a new journal.
func (r *recording) whole(b *spool.Batch) {
	b.Meta(r.metaRecord())
	runs := make([]spanOf, len(r.lanes)+1)
	for i := range r.rows {
		b.Row(r.rows[i].record(r.base + uint64(i)))
	}
	for i := range r.rows {
		seq := r.base + uint64(i)
		for t := range r.lanes {
			if r.rows[i].is(confirmed<<t) && runs[t].add(seq) {
				b.Confirmed(t, runs[t].first, runs[t].count)
				runs[t] = spanOf{seq, 1}
			}
		}
		if d := &runs[len(r.lanes)]; r.rows[i].is(isDropped) && d.add(seq) {
			b.Dropped(d.first, d.count)
			*d = spanOf{seq, 1}
		}
	}
	for t := range r.lanes {
		if runs[t].count > 0 {
			b.Confirmed(t, runs[t].first, runs[t].count)
		}
	}
	if d := runs[len(r.lanes)]; d.count > 0 {
		b.Dropped(d.first, d.count)
	}
	for _, sp := range r.splits {
		b.Split(spool.Split{First: sp.first, Name: string(sp.name)})
		for t := range r.lanes {
			if sp.final&(1<<t) != 0 {
				b.Final(t, sp.first)
			}
		}
	}
	if r.opened > 0 {
		b.Opened(r.opened-1, r.lastFrame)
	}
	b.Seen(r.lastFrame)
	if r.superseded {
		b.Superseded()
	}
	if r.ended {
		b.Ended()
	}
}

// spanOf is a run of numbers.
type spanOf struct{ first, count uint64 }

// add takes seq into the run; where it does not follow, the run is complete, and true.
func (s *spanOf) add(seq uint64) (complete bool) {
	switch {
	case s.count == 0:
		*s = spanOf{seq, 1}
	case s.first+s.count == seq:
		s.count++
	default:
		return true
	}
	return false
}

func (r *recording) metaRecord() spool.Meta {
	v := r.variant
	return spool.Meta{
		TargetDuration: r.target, Window: r.window,
		Bandwidth: v.Bandwidth, AverageBandwidth: v.AverageBandwidth, Codecs: v.Codecs, Width: v.Width, Height: v.Height,
		FrameRate: v.FrameRate, VideoBitrate: v.VideoBitrate, VideoCodec: v.VideoCodec, AudioCodec: v.AudioCodec,
	}
}

// nextFile finds the next segment that has to be on disk; the caller releases it.
func (r *recording) nextFile() (uint64, *segmenter.Segment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ; r.journal.files < r.next(); r.journal.files++ {
		seq := r.journal.files
		w := r.row(seq)
		seg := r.memory[seq]
		if seg == nil || w == nil || w.is(onDisk|isGap|isDropped) || r.safe(w) && len(r.lanes) > 0 {
			continue // there already, or too late, or not needed any more
		}
		if seg.Retain() {
			return seq, seg
		}
	}
	r.moved.wake()
	return 0, nil
}

// written notes a segment that is on disk under its name.
func (r *recording) written(seq uint64) {
	r.mu.Lock()
	if w := r.row(seq); w != nil && !w.is(isDropped) {
		w.set(onDisk, true)
	}
	r.journal.files = max(r.journal.files, seq+1)
	r.mu.Unlock()
	r.moved.wake()
}

// makeDurable answers the requests of durable.
func (r *recording) makeDurable() error {
	r.mu.Lock()
	j := &r.journal
	marks := j.marks
	wanted := marks > j.marked && j.files >= r.next() && !r.folder.Broken()
	empty := r.opened == 0 && len(r.rows) == 0
	lastFrame := r.lastFrame
	r.mu.Unlock()
	if wanted {
		var b spool.Batch
		b.Seen(lastFrame)
		if err := r.folder.Append(&b); err != nil {
			return err
		}
		if err := r.folder.MarkSynced(); err != nil {
			return err
		}
	}
	if wanted || empty {
		r.mu.Lock()
		j.marked = marks
		r.mu.Unlock()
		r.moved.wake()
	}
	return nil
}

// durable waits until the disk has all that was taken so far, synced whatever the policy.
func (r *recording) durable(ctx context.Context) error {
	if r.folder == nil {
		return nil
	}
	r.mu.Lock()
	r.journal.marks++
	mark := r.journal.marks
	r.mu.Unlock()
	r.wakeDisk()
	for {
		moved := r.moved.wait()
		r.mu.Lock()
		done := r.journal.marked >= mark || r.journal.gone
		r.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return errors.Join(errors.New("the spool did not take everything in time: "+r.key.String()+"/"+string(r.id)), ctx.Err())
		}
	}
}

// awaitDisk waits until the disk has come to the end of the table, but not for long: the bucket comes first. A disk that
// fails is not waited for.
func (r *recording) awaitDisk(ctx context.Context) {
	if r.folder == nil {
		return
	}
	timer := time.NewTimer(r.m.o.SpoolFirst)
	defer timer.Stop()
	for {
		moved := r.moved.wait()
		r.mu.Lock()
		done := r.journal.files >= r.next() || r.journal.gone
		r.mu.Unlock()
		if done || r.m.episodes.diskIsFailing() {
			return
		}
		select {
		case <-moved:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *recording) closeFolder() {
	if err := r.folder.Close(); err != nil {
		r.m.log.Warn("close journal", "stream", r.key.String(), "err", err)
	}
	r.mu.Lock()
	r.journal.gone = true
	r.mu.Unlock()
	r.moved.wake()
}
