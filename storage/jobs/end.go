package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// errAgain means that a job has changed, and its end is to be judged again.
var errAgain = errors.New("the job has changed")

// finish writes what became of the try.
func (r *run) finish(parent context.Context, result json.RawMessage, err error) {
	q := r.q
	r.mu.Lock()
	lost, about := r.lost, describe(&r.job)
	r.mu.Unlock()
	if lost {
		q.stats.Lost.Add(1)
		q.log.Warn("a job is not this server's any more, since it could not be renewed in time: another goes on with it", about...)
		return
	}
	last := context.WithoutCancel(parent)
	var refusal *Refusal
	for n := 1; ; n++ {
		r.mu.Lock()
		canceled, ends, tries := r.job.Cancel, r.job.Ends, r.job.Tries
		r.mu.Unlock()
		var to func(*Job)
		switch {
		case ends != "":
			to = func(j *Job) { j.State, j.Ends = ends, "" }
		case canceled:
			to = func(j *Job) { j.State, j.Code, j.Reason = Canceled, "", "" }
		case err == nil:
			to = func(j *Job) { j.State, j.Result, j.Progress, j.Stage, j.Reason = Succeeded, result, 1, "", "" }
		case errors.As(err, &refusal):
			to = func(j *Job) { j.State, j.Code, j.Reason = Failed, refusal.Code, short(refusal.Reason) }
		case parent.Err() != nil: // the server stops: that is no try
			to = func(j *Job) { j.State, j.Tries, j.Node, j.Nonce = Queued, j.Tries-1, "", "" }
		case tries >= q.o.Tries:
			to = func(j *Job) { j.State, j.Code, j.Reason = Failed, CodeTries, short(err.Error()) }
		default:
			to = func(j *Job) { j.State, j.Node, j.Nonce, j.Reason = Queued, "", "", short(err.Error()) }
		}
		failed := r.conclude(parent, last, to)
		if failed == nil {
			return
		}
		if errors.Is(failed, errAgain) {
			continue
		}
		if errors.Is(failed, errLost) {
			q.stats.Lost.Add(1)
		}
		if errors.Is(failed, errLost) || parent.Err() != nil {
			q.log.Warn("what became of a job could not be written: another server, or the next start, goes on with it", append(about, "error", failed)...)
			return
		}
		if n == 1 {
			q.log.Error("what a job has left cannot be removed, or its end not be written, which is tried again: where the error says that it is forbidden, allow these credentials to delete below the job's output", append(about, "error", failed)...)
		}
		pause := time.NewTimer(q.o.Backoff(min(n, 4)))
		select {
		case <-pause.C:
		case <-parent.Done():
			pause.Stop()
		}
	}
}

// stopWithin bounds what the end of a try may take when the server stops.
const stopWithin = 2 * time.Second

// conclude tries once to write an end, after nothing is left of what will not be gone on with. A removal has no condition that all stores
// know: what is removed late, by a server that was frozen, is removed whoever has written it since. So nothing is removed of a job that may
// still be worked on. That it ends is written first, and from then on whoever has it does nothing but remove.
func (r *run) conclude(parent, ctx context.Context, to func(*Job)) error {
	q := r.q
	if parent.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, stopWithin)
		defer cancel()
	}
	r.mu.Lock()
	was := r.job
	r.mu.Unlock()
	end := was
	to(&end)
	if (end.State == Failed || end.State == Canceled) && end.Code != CodeOutput {
		if was.Ends == "" {
			return r.ending(ctx, to)
		}
		done, err := q.rungs(ctx, end.ID)
		if err == nil {
			err = q.o.Undo(ctx, &Work{Job: end, Done: done, Hold: r.hold})
		}
		if err != nil {
			return err
		}
	}
	if end.State.Final() {
		end.Finished = q.o.Now().UTC().Truncate(time.Millisecond)
	}
	err := r.write(ctx, func(j *Job) {
		if j.Cancel == was.Cancel { // else it is written as it was, and judged again
			to(j)
			j.Finished = end.Finished
		}
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	now := r.job
	r.mu.Unlock()
	if now.State == Running {
		return errAgain
	}
	q.ended(&now)
	return nil
}

// ending writes which end a job comes to, before anything is removed. The error is errAgain where that is done.
func (r *run) ending(ctx context.Context, to func(*Job)) error {
	r.mu.Lock()
	was := r.job
	r.mu.Unlock()
	err := r.write(ctx, func(j *Job) {
		if j.Cancel == was.Cancel {
			to(j)
			j.Ends, j.State = j.State, Running
		}
	})
	if err == nil {
		err = errAgain
	}
	return err
}

// ended counts and logs.
func (q *Queue) ended(j *Job) {
	about := describe(j)
	switch j.State {
	case Succeeded:
		q.stats.Succeeded.Add(1)
		q.log.Info("a job is done", append(about, "took", j.Finished.Sub(j.Started).Round(time.Millisecond))...)
	case Canceled:
		q.stats.Canceled.Add(1)
		q.log.Info("a job is canceled, and nothing of it is left", about...)
	case Failed:
		q.stats.Failed.Add(1)
		q.log.Error("a job failed", append(about, "code", j.Code, "reason", j.Reason)...)
	default:
		if j.Reason != "" {
			q.stats.Retried.Add(1)
			q.log.Warn("a try at a job failed; there will be another", append(about, "reason", j.Reason)...)
		} else {
			q.log.Info("a job is put back, as this server stops", about...)
		}
	}
}

// maxReason bounds what is kept of an error, bytes.
const maxReason = 2000

func short(text string) string {
	if len(text) <= maxReason {
		return text
	}
	return strings.ToValidUTF8(text[:maxReason], "") + "…"
}
