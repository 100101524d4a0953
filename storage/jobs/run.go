package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Why a try ends before its work does.
var (
	errLost     = errors.New("another server has the job")
	errCanceled = errors.New("the job is canceled")
)

// errAgain means that a job has changed, and its end is to be judged again.
var errAgain = errors.New("the job has changed")

// The codes of failures that are nobody's Refusal.
const (
	CodeTries  = "gave_up"     // it failed time and again
	CodeGone   = "server_gone" // each server that ran it was gone before it was done
	CodeOutput = "output"      // another job has the output
)

func nonce() string { return strings.ToLower(rand.Text()[:16]) }

// run is one try at a job, here.
type run struct {
	q    *Queue
	poke chan struct{} // renew at once

	writing sync.Mutex // one write of the object at a time

	mu    sync.Mutex
	job   Job // as it was last written
	etag  string
	stage string
	done  float64
	held  time.Time // when it was last known to be ours, by our clock
	lost  bool      // it is ours no more
	end   context.CancelCauseFunc
}

func newRun(q *Queue, j Job, etag string) *run {
	return &run{q: q, job: j, etag: etag, held: q.o.Now(), poke: make(chan struct{}, 1), end: func(error) {}}
}

// how returns how far it is.
func (r *run) how() (stage string, done float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stage, r.done
}

func (r *run) progress(stage string, done float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stage, r.done = stage, min(max(done, 0), 1)
}

func (r *run) hurry() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// all does the work, and writes what became of it.
func (r *run) all(parent context.Context, gone bool) {
	q := r.q
	ctx, end := context.WithCancelCause(parent)
	defer end(nil)
	r.mu.Lock()
	r.end = end
	r.mu.Unlock()
	j := r.job
	switch {
	case j.Ends != "": // no more than its end is left to do
	case j.Cancel:
		end(errCanceled)
	default:
		q.stats.Started.Add(1)
		q.log.Info("a job begins", describe(&j)...)
		if q.o.Began != nil {
			q.o.Began(j)
		}
	}
	// Renewed until its end is written, whatever ends the work.
	life, stop := context.WithCancel(context.WithoutCancel(parent))
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		r.renew(life)
	}()
	var result json.RawMessage
	var err error
	if j.Ends == "" {
		result, err = r.work(ctx, gone)
	}
	r.finish(parent, result, err)
	stop()
	<-renewed
}

// work does what there is to do, as far as it comes.
func (r *run) work(ctx context.Context, gone bool) (json.RawMessage, error) {
	q, j := r.q, r.job
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if gone && j.Tries > q.o.Tries {
		return nil, &Refusal{CodeGone, fmt.Sprintf("%d servers that ran it were gone before it was done: look at their logs for why, memory above all, and order it again", j.Tries-1)}
	}
	holds, err := q.Holds(ctx, j)
	if err != nil {
		return nil, err
	}
	if !holds {
		return nil, &Refusal{CodeOutput, "another job has its output: give it one of its own"}
	}
	done, err := q.rungs(ctx, j.ID)
	if err != nil {
		return nil, err
	}
	return q.o.Do(ctx, &Work{
		Job: j, Done: done, Progress: r.progress, Hold: r.hold, Put: r.put,
		Keep: func(ctx context.Context, name string, data []byte) error {
			if len(data) > maxRung {
				return fmt.Errorf("what is to be kept of %s has %d bytes, more than %d", name, len(data), maxRung)
			}
			return r.put(ctx, q.store, rungKey(j.ID, name), [][]byte{data}, private())
		},
	})
}

// renew writes the object again and again, so that it is seen to live, until ctx ends or the job is lost.
func (r *run) renew(ctx context.Context) {
	t := time.NewTicker(r.q.o.Beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-r.poke:
		}
		if err := r.touch(ctx); err != nil && ctx.Err() == nil {
			r.mu.Lock()
			late := r.q.o.Now().Sub(r.held) >= r.q.o.Lease
			r.mu.Unlock()
			if errors.Is(err, errLost) || late {
				r.lose()
				return
			}
		}
	}
}

// hold returns nil where the job has been seen to be ours a short while ago, and looks where it has not.
func (r *run) hold(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	fresh, lost := r.q.o.Now().Sub(r.held) < r.q.o.Lease/2, r.lost
	r.mu.Unlock()
	switch {
	case lost: // also for what cleans up when ctx has ended: it is another's by now
		return errLost
	case fresh:
		return nil
	}
	return r.sure(ctx)
}

// sure returns nil where the job is ours at this moment.
func (r *run) sure(ctx context.Context) error {
	err := r.touch(ctx)
	if errors.Is(err, errLost) {
		r.lose()
	}
	return err
}

// touch writes the object so that it changes. It takes no longer than the job is certainly ours.
func (r *run) touch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.q.o.Lease/2)
	defer cancel()
	return r.write(ctx, func(*Job) {})
}

// lose ends the work on a job that is ours no more, or may not be: another server may have it.
func (r *run) lose() {
	r.mu.Lock()
	r.lost = true
	r.mu.Unlock()
	r.end(errLost)
}

// write changes the object; errLost where it is not ours any more. That somebody wants the job to end is taken over.
func (r *run) write(ctx context.Context, change func(*Job)) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	for {
		r.mu.Lock()
		j, etag := r.job, r.etag
		j.Stage, j.Progress = r.stage, r.done
		r.mu.Unlock()
		asked := r.q.o.Now()
		j.Beat++
		change(&j)
		etag, err := r.q.swap(ctx, &j, etag)
		if err == nil {
			r.mu.Lock()
			r.job, r.etag, r.held = j, etag, asked
			r.mu.Unlock()
			return nil
		}
		if !outrun(err) {
			return err
		}
		there, etag, err := r.q.read(ctx, j.ID)
		switch {
		case storage.KindOf(err) == storage.Missing, errors.Is(err, errDamaged):
			return errLost
		case err != nil:
			return err
		case there.Nonce != j.Nonce || there.State != Running:
			return errLost
		}
		r.mu.Lock()
		r.etag = etag
		r.job.Beat = max(r.job.Beat, there.Beat)
		canceled := there.Cancel && !r.job.Cancel
		r.job.Cancel = there.Cancel
		r.mu.Unlock()
		if canceled {
			r.end(errCanceled)
		}
	}
}

// finish writes what became of the try.
func (r *run) finish(parent context.Context, result json.RawMessage, err error) {
	q := r.q
	r.mu.Lock()
	lost := r.lost
	r.mu.Unlock()
	if lost {
		q.stats.Lost.Add(1)
		q.log.Warn("a job is not this server's any more, since it could not be renewed in time: another goes on with it", describe(&r.job)...)
		return
	}
	last := context.WithoutCancel(parent)
	var refusal *Refusal
	for n := 1; ; n++ {
		r.mu.Lock()
		canceled, ends := r.job.Cancel, r.job.Ends
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
		case r.job.Tries >= q.o.Tries:
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
			q.log.Warn("what became of a job could not be written: another server, or the next start, goes on with it", append(describe(&r.job), "error", failed)...)
			return
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
	switch {
	case err != nil:
		return err
	case r.job.State == Running:
		return errAgain
	}
	q.ended(&r.job)
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
