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
	pause := time.Duration(0)
	var grown error // of the last growth
	for {
		finished, err := r.diskStep()
		if finished {
			return
		}
		if err == nil {
			err, grown = grown, nil
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
		if r.m.episodes.diskFailed(r.m.log, err, pause == 0, r.m.o.Now()) {
			r.m.low("the spool's disk fails: " + err.Error())
		}
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
		r.grows.abandon(r.folder, r.opened)
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

func (r *recording) setBegun(t time.Time) {
	r.mu.Lock()
	r.journal.begun = t
	r.mu.Unlock()
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
		if err := r.m.episodes.diskError(); err != nil { // it is tried once more at the end
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
