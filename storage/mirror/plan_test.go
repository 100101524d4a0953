package mirror

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

var epoch = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

// planned returns a recording of n segments that are on disk, with the last three as live window, and one store that has nothing yet.
func planned(n uint64) *lane {
	m := New(Options{Store: nowhere{}})
	r := newRecording(m, segmenter.Key{App: "live", Stream: "cam"}, "2023-08-24_16-02-52.970")
	l := r.lanes[0]
	l.start(0)
	r.splits = []split{{first: 0, name: r.id}}
	r.extend(snapshot(0, n))
	for seq := range n {
		r.row(seq).set(onDisk, true)
	}
	r.first, r.window, r.handed, r.target, r.placed = n-3, 3, n, 2, true
	return l
}

func TestPlan(t *testing.T) {
	confirm := func(l *lane, sequences ...uint64) {
		for _, seq := range sequences {
			l.r.row(seq).set(confirmed, true)
		}
		l.advance(epoch, false)
	}
	for name, c := range map[string]struct {
		given func(l *lane, c *conditions)
		want  job
		due   time.Time
	}{
		"the edge first":           {func(l *lane, c *conditions) {}, job{kind: segmentJob, sequence: 7, fromDisk: true}, time.Time{}},
		"the backlog in its order": {func(l *lane, c *conditions) { c.class = backlog }, job{kind: segmentJob, sequence: 0, fromDisk: true}, time.Time{}},
		"what is on its way is not sent twice": {func(l *lane, c *conditions) { l.r.row(7).set(sending, true) },
			job{kind: segmentJob, sequence: 8, fromDisk: true}, time.Time{}},
		"what failed waits, the next goes": {func(l *lane, c *conditions) { l.tries[7] = try{n: 1, due: epoch.Add(time.Second)} },
			job{kind: segmentJob, sequence: 8, fromDisk: true}, time.Time{}},
		"a store that is well again waits for nothing": {func(l *lane, c *conditions) { l.tries[7], c.epoch = try{n: 1, due: epoch.Add(time.Second)}, 1 },
			job{kind: segmentJob, sequence: 7, fromDisk: true}, time.Time{}},
		"all readers of the disk are busy": {func(l *lane, c *conditions) { c.disk = false }, job{}, epoch.Add(diskReadPoll)},
		"no disk is needed for what is in memory": {func(l *lane, c *conditions) { c.disk, l.r.memory[8] = false, &segmenter.Segment{} },
			job{kind: segmentJob, sequence: 8}, time.Time{}},
		"a playlist that is due comes before the edge": {func(l *lane, c *conditions) { confirm(l, 0, 1, 2, 3, 4, 5, 6, 7, 8) }, job{kind: liveJob}, time.Time{}},
		"of a playlist there is one write at a time": {func(l *lane, c *conditions) {
			confirm(l, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
			l.live.busy, l.archive.busy = true, true
		}, job{}, time.Time{}},
		"the entry once the live playlist is there": {func(l *lane, c *conditions) {
			confirm(l, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
			l.liveWritten, l.liveFirst, l.liveNext = true, 7, 10
		}, job{kind: entryJob}, time.Time{}},
		"another recording is at the entry": {func(l *lane, c *conditions) {
			confirm(l, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
			l.liveWritten, l.liveFirst, l.liveNext, c.entry = true, 7, 10, false
		}, job{kind: archiveJob}, time.Time{}},
		"a growing timestamped playlist may lag": {func(l *lane, c *conditions) {
			confirm(l, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
			l.liveWritten, l.liveFirst, l.liveNext, c.entry = true, 7, 10, false
			l.named, l.archiveSize, l.fresh = 8, 1000, 2000
		}, job{}, epoch.Add(270 * time.Second)},
		"at the end it may not": {func(l *lane, c *conditions) {
			confirm(l, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
			l.r.ended, l.liveEnded = true, true
			l.liveWritten, l.liveFirst, l.liveNext, c.entry = true, 7, 10, false
			l.named, l.archiveSize, l.fresh = 8, 1000, 2000
		}, job{kind: archiveJob}, time.Time{}},
	} {
		l := planned(10)
		given := conditions{class: front, now: epoch, disk: true, entry: true}
		c.given(l, &given)
		edge, back, live, archive := l.edge, l.back, l.live, l.archive
		d := plan(l, given)
		got := d.job
		got.lane, got.begun = nil, time.Time{}
		if got != c.want || !d.due.Equal(c.due) {
			t.Errorf("%s: %+v, due %v; want %+v, %v", name, got, d.due, c.want, c.due)
		}
		if l.edge != edge || l.back != back || l.inflight != 0 || l.live != live || l.archive != archive {
			t.Errorf("%s: the plan changed the lane", name)
		}
		if again := plan(l, given); again != d {
			t.Errorf("%s: asked again it says %+v", name, again)
		}
	}
}

// What was planned and taken is not planned again, and in the end everything has been.
func TestPlanTakesEachOnce(t *testing.T) {
	l := planned(50)
	seen := map[uint64]bool{}
	for {
		d := plan(l, conditions{class: front, now: epoch, disk: true})
		l.take(front, &d)
		if d.job.kind == noJob {
			d = plan(l, conditions{class: backlog, now: epoch, disk: true})
			l.take(backlog, &d)
		}
		if d.job.kind == noJob {
			break
		}
		if d.job.kind != segmentJob || seen[d.job.sequence] {
			t.Fatalf("%+v", d.job)
		}
		seen[d.job.sequence] = true
	}
	if len(seen) != 50 || l.inflight != 50 {
		t.Errorf("%d planned, %d on their way", len(seen), l.inflight)
	}
}

// A window that begins earlier than assumed takes over what the backlog has not sent by then.
func TestPlanWhenTheWindowReachesBack(t *testing.T) {
	l := planned(10)
	for range 3 {
		d := plan(l, conditions{class: front, now: epoch, disk: true})
		l.take(front, &d)
	}
	l.r.slideTo(2)
	if d := plan(l, conditions{class: front, now: epoch, disk: true}); d.job.kind != segmentJob || d.job.sequence != 2 {
		t.Errorf("%+v", d.job)
	}
}
