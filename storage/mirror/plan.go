package mirror

import (
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/shared"
)

// What goes first is decided here and in Uploader.next. Within a lane: playlists that are due, then the segments of the live window in
// order (the edge), then older ones (the backlog), in order. Among lanes: each in turn. Every fourth pick considers backlogs first, so that
// a link that is just fast enough for the edge still drains them.

type jobKind uint8

const (
	noJob jobKind = iota
	segmentJob
	claimJob // who has the stream in this store
	liveJob
	twinJob // the live playlist again, under its low-latency name
	entryJob
	archiveJob
)

// A lane of CMAF has the same kinds: its segments are the fragments of one, its live playlist is one for each track.

// job is one thing to write.
type job struct {
	kind     jobKind
	lane     *lane
	sequence uint64 // of a segment
	fromDisk bool   // only the spool has its bytes
	found    bool   // the store already had it
	others   bool   // what the store has is of another server that had the recording, or has it
	made     made   // of CMAF: what the store has
	begun    time.Time
}

// object returns the name of what a job writes, for comparison with other jobs.
func (j *job) object() string {
	return fmt.Sprint(j.lane.r.key, " ", j.lane.r.id, " ", j.lane.target, " ", j.kind, " ", j.sequence)
}

// class is what a pick looks for.
type class uint8

const (
	front   class = iota // playlists and the edge
	backlog              // what left the live window unsent
	classes
)

// conditions are what a plan depends on besides the recording.
type conditions struct {
	class class
	now   time.Time
	epoch uint64 // of the store's pace: earlier pauses no longer count
	disk  bool   // a reader of the disk is free
	fresh bool   // only what has not failed since the store last recovered
	entry bool   // the stream's stable entry may be written: no other recording of the stream is writing it
}

// decision is the result of a plan.
type decision struct {
	job job
	// due says when there may be a job if there is none now; zero: the lane must be woken first.
	due time.Time
	// passed is the number up to which no row of the class must be sent; the next plan begins there.
	passed uint64
}

// maxSkipped bounds how far a plan looks past segments that only the disk has.
const maxSkipped = 256

// diskReadPoll is when a lane tries again after it found all readers of the disk busy.
const diskReadPoll = 20 * time.Millisecond

// plan decides which part of a recording goes next to a lane's store. It changes nothing, and depends only on the recording and c.
// recording.mu is held.
func plan(l *lane, c conditions) (d decision) {
	d.passed = l.cursor(c.class)
	soonest := func(t time.Time) {
		if !t.IsZero() && (d.due.IsZero() || t.Before(d.due)) {
			d.due = t
		}
	}
	if c.class == front {
		for _, kind := range [...]jobKind{claimJob, liveJob, twinJob, entryJob, archiveJob} {
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
				continue // an older recording is writing the same object; the end of that wakes this lane
			}
			d.job = job{kind: kind, lane: l, begun: c.now}
			return d
		}
	}
	from, to := max(l.r.first, d.passed, l.settled), l.r.handed
	if c.class == backlog {
		from, to = max(d.passed, l.settled), min(l.r.first, l.r.handed)
	}
	if l.main().hold == shared.Unread && (l.r.recalled || l.r.yielded) && l.r.target > 0 {
		return d // its numbers may be another server's by now; the answer wakes this lane
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
		if l.early(w) {
			passing = false // the end of that wakes this lane
			continue
		}
		if t, failed := l.tries[seq]; failed && t.epoch == c.epoch && (c.fresh || t.due.After(c.now)) {
			passing = false
			soonest(t.due)
			continue
		}
		fromDisk := l.r.memory[seq] == nil
		if fromDisk && !c.disk {
			// It must wait for a reader of the disk. One after it may be in memory, which a hanging disk does not delay.
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
