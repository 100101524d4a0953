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
