// Package notices keeps what the mirror tells until somebody has done what is to be done about it. It refuses to make who tells wait, and to
// forget anything: a recording that another server has is told of once.
package notices

import (
	"context"
	"sync"

	"github.com/hlsorigin/hlsorigin/storage/mirror"
)

// Queue is a queue without a bound. Who fills it bounds it: the mirror tells once for each recording that it works on and store. The zero
// value is not ready, see New.
type Queue struct {
	wake chan struct{} // holds one

	mu  sync.Mutex
	all []mirror.Notice
}

// New returns an empty Queue.
func New() *Queue { return &Queue{wake: make(chan struct{}, 1)} }

// Add adds a notice. It waits for nothing.
func (q *Queue) Add(n mirror.Notice) {
	q.mu.Lock()
	q.all = append(q.all, n)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run calls do for one notice after another, in the order in which they were added, until ctx is done.
func (q *Queue) Run(ctx context.Context, do func(context.Context, mirror.Notice)) error {
	for {
		q.mu.Lock()
		all := q.all
		q.all = nil
		q.mu.Unlock()
		for _, n := range all {
			if ctx.Err() != nil {
				return nil
			}
			do(ctx, n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-q.wake:
		}
	}
}
