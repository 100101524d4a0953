package jobs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// known is a job that is open, as this server has seen it.
type known struct {
	version string
	since   time.Time // when it was first seen so, by this server's clock
	job     *Job      // as it was read; nil: it was not
	etag    string
	bad     bool // it is no job; that was logged
}

// versionOf is what changes in a listing whenever an object does.
func versionOf(o storage.Object) string {
	if o.ETag != "" {
		return o.ETag
	}
	return strconv.FormatInt(o.Modified.UnixNano(), 36) + "-" + strconv.FormatInt(o.Size, 36)
}

// maxReads is how many objects one look reads that it has no other reason to read than that they have stood still.
const maxReads = 64

// Run runs jobs, takes up those of servers that are gone, and tells of those that are over, until ctx ends. Then what runs here is stopped,
// and put back for another server, or the next start.
func (q *Queue) Run(ctx context.Context) error {
	var tasks tasks
	defer tasks.wait()
	poll := time.NewTimer(q.o.Poll)
	defer poll.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		q.look(ctx, &tasks)
		poll.Reset(q.until())
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
		case <-q.wake:
		case <-sweep.C:
			if err := q.sweep(ctx); err != nil && ctx.Err() == nil {
				q.log.Warn("old jobs cannot be removed from the bucket now", "error", err)
			}
		}
	}
}

// idle is how many times longer than Options.Poll the pause is where there are no jobs: orders that come here end it.
const idle = 3

// until is how long to wait for the next look.
func (q *Queue) until() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.known) == 0 && !q.away {
		return idle * q.o.Poll
	}
	return q.o.Poll
}

// look lists the open jobs once, and does what is due.
func (q *Queue) look(ctx context.Context, tasks *tasks) {
	found, err := q.list(ctx)
	if ctx.Err() != nil {
		return
	}
	q.mu.Lock()
	was := q.away
	q.away = err != nil
	q.mu.Unlock()
	if err != nil {
		q.stats.PollFailures.Add(1)
		if !was {
			q.log.Warn("the jobs in the bucket cannot be seen now: none is begun until they can", "error", err)
		}
		return
	}
	if was {
		q.log.Info("the jobs in the bucket can be seen again")
	}
	if q.count(found); q.before == nil {
		q.before = map[string]bool{}
		for _, o := range found {
			q.before[idOf(o.Key)] = true
		}
	}
	reads := 0
	for _, o := range found {
		if ctx.Err() != nil || q.o.Ready != nil && !q.o.Ready() {
			return
		}
		q.consider(ctx, o, tasks, &reads)
	}
}

// list returns the open jobs as they are listed, in the order in which they are to be taken, and notes what has changed.
func (q *Queue) list(ctx context.Context) (found []storage.Object, err error) {
	there := map[string]bool{}
	err = storage.Browse(ctx, q.store, openFolder, func(o storage.Object) error {
		if id := idOf(o.Key); id != "" {
			there[id] = true
			found = append(found, o)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	now := q.o.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for id := range q.known {
		if !there[id] {
			delete(q.known, id)
		}
	}
	for _, o := range found {
		id, version := idOf(o.Key), versionOf(o)
		if k := q.known[id]; k == nil || k.version != version {
			q.known[id] = &known{version: version, since: now}
		}
	}
	return found, nil
}

// count sets the gauges, as far as the jobs have been read.
func (q *Queue) count(found []storage.Object) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var waiting, elsewhere, oldest int64
	for _, o := range found {
		k := q.known[idOf(o.Key)]
		switch {
		case k == nil || k.bad:
		case k.job == nil || k.job.State == Queued: // one that is not read was not yet in turn
			waiting++
			if k.job != nil && (oldest == 0 || k.job.Created.Unix() < oldest) {
				oldest = k.job.Created.Unix()
			}
		case k.job.State == Running && q.running[k.job.ID] == nil:
			elsewhere++
		}
	}
	q.stats.Waiting.Store(waiting)
	q.stats.Elsewhere.Store(elsewhere)
	q.stats.Oldest.Store(oldest)
}

// free reports whether another job may run here.
func (q *Queue) free() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int64(len(q.running)) < q.workers.Load()
}

// consider does with one open job what is due.
func (q *Queue) consider(ctx context.Context, o storage.Object, tasks *tasks, reads *int) {
	id := idOf(o.Key)
	q.mu.Lock()
	k := q.known[id]
	busy := q.running[id] != nil || q.telling[id]
	if k == nil || busy || k.bad {
		q.mu.Unlock()
		return
	}
	j, etag, since := k.job, k.etag, k.since
	q.mu.Unlock()
	still := q.o.Now().Sub(since) // how long it has not changed
	if j == nil {
		if !q.free() {
			if still < q.o.Lease && *reads >= maxReads {
				return
			}
			*reads++
		}
		read, e, err := q.read(ctx, id)
		switch {
		case errors.Is(err, errDamaged):
			q.mu.Lock()
			k.bad = true
			q.mu.Unlock()
			q.log.Error("an object among the jobs is none, and is left alone: remove it by hand", "key", o.Key, "error", err)
			return
		case err != nil:
			return
		}
		j, etag = &read, e
		q.mu.Lock()
		k.job, k.etag = j, etag
		q.mu.Unlock()
	}
	switch {
	case j.State.Final():
		if still >= q.untilTold(j) {
			q.tell(ctx, *j, etag, tasks)
		}
	case j.State == Queued && j.Cancel: // what its tries have left is removed, by whoever sees it first
		q.begin(ctx, *j, etag, tasks)
	case j.State == Queued:
		if (j.Tries == 0 || still >= q.o.Backoff(j.Tries)) && q.free() {
			q.begin(ctx, *j, etag, tasks)
		}
	case j.Node == q.o.Node && q.before[id] && (j.Cancel || j.Ends != "" || q.free()): // of the process before this one, which is gone
		q.log.Info("a job that this server ran before it was started again goes on", "job", j.ID)
		q.begin(ctx, *j, etag, tasks)
	case still >= q.o.Lease && j.Ends != "":
		q.log.Warn("a server has gone silent while it removed what a job had left: this one goes on with that, and the output is given to no other job", "job", j.ID, "was_on", j.Node)
		late := *j
		late.Late = true
		q.begin(ctx, late, etag, tasks)
	case still >= q.o.Lease && (j.Cancel || q.free()):
		q.stats.TakenUp.Add(1)
		q.log.Warn("a job has not moved for long: the server that ran it is gone, and this one goes on with it", "job", j.ID, "was_on", j.Node, "still_for", still.Round(time.Second))
		q.begin(ctx, *j, etag, tasks)
	}
}

// begin claims a job and runs it.
func (q *Queue) begin(ctx context.Context, j Job, etag string, tasks *tasks) {
	gone := j.State == Running
	delete(q.before, j.ID)
	j.State, j.Node, j.Nonce, j.Beat = Running, q.o.Node, nonce(), 0
	if j.Ends == "" {
		if j.Tries++; gone && j.Reason == "" {
			j.Reason = "the server that ran it was gone"
		}
		j.Stage, j.Progress = "", 0
	}
	if j.Started.IsZero() {
		j.Started = q.o.Now().UTC().Truncate(time.Millisecond)
	}
	etag, err := q.swap(ctx, &j, etag)
	if err != nil {
		if !outrun(err) && ctx.Err() == nil {
			q.log.Warn("a job cannot be begun now", "job", j.ID, "error", err)
		}
		return
	}
	r := newRun(q, j, etag)
	q.mu.Lock()
	q.running[j.ID] = r
	q.stats.Running.Store(int64(len(q.running)))
	q.mu.Unlock()
	tasks.do(func() {
		defer func() {
			q.mu.Lock()
			delete(q.running, j.ID)
			delete(q.known, j.ID) // it has changed
			q.stats.Running.Store(int64(len(q.running)))
			q.mu.Unlock()
			q.Wake()
		}()
		r.all(ctx, gone)
	})
}

// describe is a job for the log.
func describe(j *Job) []any {
	return []any{"job", j.ID, "kind", j.Kind, "try", fmt.Sprint(j.Tries)}
}
