package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// disk is the goroutine that may wait for the disk on behalf of one recording. Only an orderly stop waits for it: while it hangs, segments
// go to the bucket from memory. It ends when the recording is complete, or when ctx has ended and everything is written.
func (r *recording) disk(ctx context.Context) {
	defer close(r.idle)
	pause := time.Duration(0)
	var grown error // of the last growth
	last := false   // ctx has ended, and it is tried once more
	for {
		select {
		case <-r.retired:
			r.closeFolder()
			return
		default:
		}
		finished, err := r.diskStep()
		if finished {
			return
		}
		if err == nil {
			err, grown = grown, nil
		}
		if err == nil {
			if pause > 0 {
				r.m.episodes.DiskHealed(r.m.log, r.m.o.Now())
			}
			pause = 0
			if r.diskBusy() {
				continue
			}
			select {
			case <-r.diskUp:
			case <-r.retired:
			case <-r.growthDue():
				r.setBegun(r.m.o.Now())
				grown = r.grow()
				r.setBegun(time.Time{})
			case <-ctx.Done():
				if !r.diskBusy() {
					r.closeFolder()
					return
				}
			}
			r.grows.stop()
			continue
		}
		r.m.stats.DiskErrors.Add(1)
		if r.m.episodes.DiskFailed(r.m.log, err, pause == 0, r.m.o.Now()) {
			r.m.low("the spool's disk fails: " + err.Error())
		}
		pause = min(max(2*pause, r.m.o.DiskRetryMin), r.m.o.DiskRetryMax)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-r.retired:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			if last {
				r.closeFolder()
				return
			}
			last = true
		}
	}
}

// diskBusy reports whether there is something for the disk to do.
func (r *recording) diskBusy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := &r.journal
	return r.unwritten() || len(j.events) > 0 || j.superseded || j.marks > j.marked || j.compact || j.files < r.next()
}

// unwritten reports whether the journal lacks something that no start can find out again: a mark before it would be worth nothing. r.mu is
// held.
func (r *recording) unwritten() bool {
	j := &r.journal
	return j.rows < r.next() || j.opened < r.opened || j.meta && len(r.rows) > 0 || j.splits || r.ended && !j.ended
}

// diskStep updates the journal and writes at most one segment.
func (r *recording) diskStep() (finished bool, err error) {
	r.setBegun(r.m.o.Now())
	defer r.setBegun(time.Time{})
	defer func() {
		if err != nil {
			r.folder.Check() // whatever removed a segment's folder also removed the journal, whose open file would be written to in vain
		}
	}()
	if r.unopened() {
		if err := r.grow(); err != nil {
			return false, err
		}
	}
	if err := r.writeJournal(); err != nil {
		return false, err
	}
	if r.complete() && !r.inDoubt() {
		r.mu.Lock()
		opened := r.opened
		r.mu.Unlock()
		r.grows.abandon(r.folder, opened)
		if err := r.folder.Finish(); err != nil {
			return false, err
		}
		r.m.forget(r)
		return true, nil
	}
	seq, seg := r.nextFile()
	if seg != nil {
		r.grows.completes(r.folder, seq, seg)
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

// setBegun notes when a step begins, or, with the zero time, that it has ended.
func (r *recording) setBegun(t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := &r.journal
	switch j.begun = t; {
	case t.IsZero():
		j.late.Stop()
	case j.late == nil:
		j.late = time.AfterFunc(journalPatience, r.impatient)
	default:
		j.late.Reset(journalPatience)
	}
}

// impatient is called when a step lasts for longer than playlists wait for the journal.
func (r *recording) impatient() {
	r.mu.Lock()
	r.settle()
	r.mu.Unlock()
	r.wakeLanes()
	r.show()
}

// nextFile returns the next segment that must be on disk; the caller releases it.
func (r *recording) nextFile() (uint64, *segmenter.Segment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ; r.journal.files < r.next(); r.journal.files++ {
		seq := r.journal.files
		w := r.row(seq)
		seg := r.memory[seq]
		if seg == nil || w.none() || w.Gap || w.is(onDisk|isDropped) || r.safe(w) && len(r.lanes) > 0 {
			continue // there already, or too late, or no longer needed
		}
		if seg.Retain() {
			return seq, seg
		}
	}
	r.moved.wake()
	return 0, nil
}

// written records that a segment is on disk under its name.
func (r *recording) written(seq uint64) {
	r.mu.Lock()
	if w := r.row(seq); !w.none() && !w.is(isDropped) {
		w.set(onDisk, true)
	}
	r.journal.files = max(r.journal.files, seq+1)
	r.mu.Unlock()
	r.moved.wake()
}

// makeDurable serves the requests of durable.
func (r *recording) makeDurable() error {
	r.mu.Lock()
	j := &r.journal
	marks := j.marks
	wanted := marks > j.marked && j.files >= r.next() && !r.unwritten() && !r.folder.Broken()
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

// durable waits until the disk has everything copied so far, synced whatever the policy.
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
		if _, err := r.m.episodes.Failing(); err != nil { // it is tried once more at the end
			return fmt.Errorf("the spool's disk fails: %w", err)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return errors.Join(errors.New("the spool did not take everything in time: "+r.key.String()+"/"+string(r.id)), ctx.Err())
		}
	}
}

// awaitDisk waits until the disk has reached the end of the table, but not for long: the bucket comes first. It does not wait for a failing
// disk.
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
		if done || r.m.episodes.DiskFails() {
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

// growth is what is on disk of segments that are being written, so that a crash costs what came since the last write and not a segment. It
// belongs to the goroutine of the recording's disk.
type growth struct {
	last   *segmenter.Growing            // the newest answer
	parts  map[uint64]*segmenter.Growing // what the files belong to, by number
	at     time.Time                     // of the last look
	failed *segmenter.Growing            // the segment that the disk did not accept
	opened uint64                        // after the number that was looked at first
	timer  *time.Timer                   // of the next look; one for all, since there are several for each segment
}

// growthDue returns a channel that says when to look again: at once if a number is new, so that none is ever opened without any of it on
// disk. It is nil if no segment is being written. It is valid until growthDue is called again.
func (r *recording) growthDue() <-chan time.Time {
	r.mu.Lock()
	writing, fresh := r.writing && r.opened > 0, r.opened != r.grows.opened
	r.mu.Unlock()
	if !writing || r.m.o.GrowEvery < 0 {
		return nil
	}
	wait := max(r.m.o.GrowEvery-r.m.o.Now().Sub(r.grows.at), 0)
	if fresh {
		wait = 0
	}
	if r.grows.timer == nil {
		r.grows.timer = time.NewTimer(wait)
	} else {
		r.grows.timer.Reset(wait)
	}
	return r.grows.timer.C
}

// unopened reports whether a number is about to be opened in an existing journal. Its first bytes go to disk before that: a crash in
// between leaves a file without a record, which a start accepts, and not a number without a byte, which would be a gap.
func (r *recording) unopened() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.writing && r.m.o.GrowEvery >= 0 && r.journal.opened > 0 && r.journal.opened < r.opened && r.grows.opened != r.opened
}

// stop ends the timer.
func (g *growth) stop() {
	if g.timer != nil {
		g.timer.Stop()
	}
}

// grow writes to disk what came of a segment since the last time. Its callers say when that began: it may be part of a longer step.
func (r *recording) grow() error {
	r.grows.at = r.m.o.Now()
	r.mu.Lock()
	line, files, next := r.line, r.journal.files, r.next()
	r.grows.opened = r.opened
	r.mu.Unlock()
	r.grows.abandon(r.folder, min(files, next))
	if line == nil || r.m.episodes.DiskFails() {
		return nil
	}
	g := line.Growing(r.grows.last)
	if g == nil {
		return nil
	}
	defer g.Release()
	if g.Same(r.grows.failed) || g.Sequence < next {
		return nil
	}
	if old := r.grows.parts[g.Sequence]; old != nil && !g.Same(old) {
		r.folder.Abandon(g.Sequence) // the encoder restarts this number
	}
	r.grows.last = g
	if len(g.Slices) == 0 {
		return nil
	}
	if err := r.folder.Grow(g.Sequence, g.Slices); err != nil {
		r.folder.Check()                      // whatever removed the folder removed the journal, too
		r.grows.failed, r.grows.last = g, nil // the complete segment is tried later, and reports if that fails
		delete(r.grows.parts, g.Sequence)
		return err
	}
	if r.grows.parts == nil {
		r.grows.parts = map[uint64]*segmenter.Growing{}
	}
	r.grows.parts[g.Sequence] = g
	return nil
}

// completes tells that seg is about to be written completely: what is on disk under its number stays only if it is its beginning.
func (g *growth) completes(f *spool.Folder, seq uint64, seg *segmenter.Segment) {
	if part := g.parts[seq]; part == nil || !part.Of(seg) {
		f.Abandon(seq)
	}
	delete(g.parts, seq)
}

// abandon discards what is on disk of the numbers before one, which came to nothing.
func (g *growth) abandon(f *spool.Folder, before uint64) {
	for seq := range g.parts {
		if seq < before {
			f.Abandon(seq)
			delete(g.parts, seq)
		}
	}
}
