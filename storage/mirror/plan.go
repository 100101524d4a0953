package mirror

import (
	"fmt"
	"time"
)

// What goes first is decided here and in Uploader.next. In a lane: playlists that are due, then the segments of the live
// window in their order (the edge), then what is older (the backlog), in its order. Among lanes: each in turn. Of every
// four picks the fourth looks at backlogs first, so that a link that is just fast enough for the edge still drains them.

type jobKind uint8

const (
	noJob jobKind = iota
	segmentJob
	liveJob
	entryJob
	archiveJob
)

// job is one thing to write.
type job struct {
	kind     jobKind
	lane     *lane
	sequence uint64 // of a segment
	fromDisk bool   // its bytes are in the spool alone
	found    bool   // the store had it already
	begun    time.Time
}

// object names what a job writes, for comparison with that of other jobs.
func (j *job) object() string {
	return fmt.Sprint(j.lane.r.key, " ", j.lane.r.id, " ", j.kind, " ", j.sequence)
}

// class is what a pick looks for.
type class uint8

const (
	front   class = iota // playlists and the edge
	backlog              // what left the live window unsent
	classes
)

// conditions are what a plan depends on beside the recording.
type conditions struct {
	class class
	now   time.Time
	epoch uint64 // of the store's pace: pauses from before do not count any more
	disk  bool   // a reader of the disk is free
	fresh bool   // only what did not fail yet since the store was last well
	entry bool   // the stream's stable entry may be written: no other recording of the stream is at it
}

// decision is what a plan comes to.
type decision struct {
	job job
	// due says when there may be a job where there is none now; zero: somebody has to wake the lane first.
	due time.Time
	// passed is the number up to which no row of the class has to be sent, for the next plan to begin with.
	passed uint64
}

// maxSkipped bounds how far a plan looks past segments that only the disk has.
const maxSkipped = 256

// diskReadPoll is when a lane looks again that found all readers of the disk busy.
const diskReadPoll = 20 * time.Millisecond

// plan decides what of a recording goes next to a lane's store. It changes nothing, and depends on nothing but the recording
// as it is and c. recording.mu is held.
func plan(l *lane, c conditions) (d decision) {
	d.passed = l.cursor(c.class)
	soonest := func(t time.Time) {
		if !t.IsZero() && (d.due.IsZero() || t.Before(d.due)) {
			d.due = t
		}
	}
	if c.class == front {
		for _, kind := range [...]jobKind{liveJob, entryJob, archiveJob} {
			at, ok := l.playlistDue(kind, c.now)
			s := l.slotOf(kind)
			if !ok || s.busy {
				continue
			}
			if s.try.n > 0 && s.try.epoch == c.epoch {
				if c.fresh {
					continue
				}
				at = later(at, s.try.due)
			}
			if at.After(c.now) {
				soonest(at)
				continue
			}
			if kind == entryJob && !c.entry {
				continue // an older recording's write of the same object is on its way; its end wakes this lane
			}
			d.job = job{kind: kind, lane: l, begun: c.now}
			return d
		}
	}
	from, to := max(l.r.first, d.passed, l.settled), l.r.handed
	if c.class == backlog {
		from, to = max(d.passed, l.settled), min(l.r.first, l.r.handed)
	}
	passing, skipped := true, 0
	for seq := from; seq < to; seq++ {
		w := l.r.row(seq)
		if w.none() || !l.unsent(w) {
			if passing {
				d.passed = seq + 1
			}
			continue
		}
		if t, failed := l.tries[seq]; failed && t.epoch == c.epoch && (c.fresh || t.due.After(c.now)) {
			passing = false
			soonest(t.due)
			continue
		}
		fromDisk := l.r.memory[seq] == nil
		if fromDisk && !c.disk {
			// Its turn comes when a reader of the disk is free. One of those behind it may be in
			// memory, which no disk that hangs can hold up.
			passing = false
			soonest(c.now.Add(diskReadPoll))
			if skipped++; skipped > maxSkipped {
				break
			}
			continue
		}
		if passing {
			d.passed = seq + 1
		}
		d.job, d.due = job{kind: segmentJob, lane: l, sequence: seq, fromDisk: fromDisk, begun: c.now}, time.Time{}
		return d
	}
	return d
}

// take marks a plan's job as being done. recording.mu is held.
func (l *lane) take(c class, d *decision) {
	*l.cursorOf(c) = d.passed
	switch d.job.kind {
	case noJob:
		return
	case segmentJob:
		l.r.row(d.job.sequence).set(sending<<l.target, true)
	default:
		l.slotOf(d.job.kind).busy = true
	}
	l.inflight++
}

func (l *lane) cursorOf(c class) *uint64 {
	if c == backlog {
		return &l.back
	}
	return &l.edge
}

func (l *lane) cursor(c class) uint64 { return *l.cursorOf(c) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
