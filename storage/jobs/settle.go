package jobs

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// tasks are goroutines that somebody waits for.
type tasks struct{ all sync.WaitGroup }

func (t *tasks) do(f func()) { t.all.Go(f) }

func (t *tasks) wait() { t.all.Wait() }

// maxTelling is how many ends are told of at once.
const maxTelling = 8

// untilTold is how long the object of a job that is over must not have changed before this server tells of it: the one that ended it
// goes first.
func (q *Queue) untilTold(j *Job) time.Duration {
	d := time.Duration(0)
	if j.Tells > 0 {
		d = q.o.Backoff(j.Tells)
	}
	if j.Node != q.o.Node {
		d += q.o.Lease
	}
	return d
}

// tell tells of a job that is over, and puts it with those that need nothing any more.
func (q *Queue) tell(ctx context.Context, j Job, etag string, tasks *tasks) {
	q.mu.Lock()
	if len(q.telling) >= maxTelling {
		q.mu.Unlock()
		return
	}
	q.telling[j.ID] = true
	q.mu.Unlock()
	tasks.do(func() {
		defer func() {
			q.mu.Lock()
			delete(q.telling, j.ID)
			delete(q.known, j.ID) // it has changed, or is gone: who listed it before must not tell of it again
			q.mu.Unlock()
			q.Wake()
		}()
		err := q.o.Tell(ctx, &j)
		if ctx.Err() != nil {
			return
		}
		if err != nil && q.o.Now().Sub(j.Finished) > q.o.GiveUp {
			j.Untold, err = short(err.Error()), nil
			q.stats.Untold.Add(1)
			q.log.Error("a job's webhook did not take its end for so long that it is given up", "job", j.ID, "reason", j.Untold)
		}
		if err == nil {
			err = q.settle(ctx, j, etag)
			if err != nil && !outrun(err) && ctx.Err() == nil {
				q.log.Warn("a job that is over cannot be put aside now", "job", j.ID, "error", err)
			}
			return
		}
		j.Tells++
		if _, err := q.swap(ctx, &j, etag); err != nil && !outrun(err) && ctx.Err() == nil {
			q.log.Warn("that a job's end was not told cannot be written now", "job", j.ID, "error", err)
		}
	})
}

// settle puts a job aside. Each step may be done twice: by another server, or after a crash.
func (q *Queue) settle(ctx context.Context, j Job, etag string) error {
	_, now, err := q.read(ctx, j.ID)
	switch {
	case err != nil:
		return err
	case now != etag: // another is about it
		return storage.ErrChanged
	}
	var keys []string
	err = q.store.List(ctx, rungsFolder+j.ID+"/", func(o storage.Object) error {
		keys = append(keys, o.Key)
		return nil
	})
	if err != nil {
		return err
	}
	if !j.Late {
		if holds, err := q.Holds(ctx, j); err != nil {
			return err
		} else if holds {
			keys = append(keys, outputKey(j.Output))
		}
	}
	if len(keys) > 0 {
		if err := q.store.Remove(ctx, keys...); err != nil {
			return err
		}
	}
	data, err := j.encode()
	if err != nil {
		return err
	}
	key, err := doneKey(j.ID)
	if err != nil {
		return err
	}
	if _, err := q.store.Put(ctx, key, bytes.NewReader(data), private()); err != nil {
		return err
	}
	return q.store.Remove(ctx, openKey(j.ID))
}

// sweepEvery is how often old jobs are looked for, and maxSwept how many are removed then.
const (
	sweepEvery = time.Hour
	maxSwept   = 1000
)

// sweep forgets jobs that are over for longer than they are kept. The oldest are listed last.
func (q *Queue) sweep(ctx context.Context) error {
	limit := q.o.Now().Add(-time.Duration(q.keep.Load()))
	var old []string
	err := q.store.List(ctx, doneFolder, func(o storage.Object) error {
		if idOf(o.Key) != "" && o.Modified.Before(limit) && len(old) < maxSwept {
			old = append(old, o.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var keys []string
	for _, key := range old {
		data, _, err := q.get(ctx, key)
		if storage.KindOf(err) == storage.Missing {
			continue
		}
		if err != nil && !errors.Is(err, errDamaged) {
			return err
		}
		if j, damaged := parse(idOf(key), data); err == nil && damaged == nil {
			if j.Key != "" {
				keys = append(keys, keyKey(j.Key))
			}
			if j.Late {
				if holds, err := q.Holds(ctx, j); err != nil {
					return err
				} else if holds {
					keys = append(keys, outputKey(j.Output))
				}
			}
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil
	}
	return q.store.Remove(ctx, keys...)
}
