//go:build linux

package publish

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/bench/stat"
)

// Options of a Fleet. Clip and URL are required.
type Options struct {
	Clip *Clip
	URL  func(i int) string // the address of publisher i

	Chunk   int           // bytes of a chunk; default 4096, as common encoders use
	Stagger time.Duration // over which the publishers begin, evenly spread; default one keyframe interval, 2s
	Workers int           // goroutines that send; default 2

	// Key, if set, is called for each keyframe when the kernel has taken its last byte: n counts those of publisher i from 0. It is called
	// by a worker and must not wait.
	Key func(i, n int, sent time.Time)
}

// Fleet is a number of publishers. Its methods are safe for concurrent use.
type Fleet struct {
	opts    Options
	add     []chan *publisher // one for each worker
	wait    sync.WaitGroup
	stop    context.CancelFunc
	done    <-chan struct{}
	size    atomic.Int64
	Late    stat.Histogram // how late the kernel took a frame's last byte
	Lost    atomic.Int64   // publishers that the server dropped
	Stalls  atomic.Int64   // writes that the kernel did not take completely: the server reads too slowly
	Frames  atomic.Int64
	Bytes   atomic.Int64
	lostErr atomic.Pointer[error]
}

// Start begins a fleet without publishers. The caller must call Stop.
func Start(ctx context.Context, o Options) *Fleet {
	if o.Chunk == 0 {
		o.Chunk = 4096
	}
	if o.Stagger == 0 {
		o.Stagger = gop * time.Second / rate
	}
	if o.Workers == 0 {
		o.Workers = 2
	}
	f := &Fleet{opts: o}
	ctx, f.stop = context.WithCancel(ctx)
	f.done = ctx.Done()
	for range o.Workers {
		w := &worker{fleet: f, reel: o.Clip.reel(o.Chunk), add: make(chan *publisher)}
		f.add = append(f.add, w.add)
		f.wait.Go(w.run)
	}
	return f
}

// dialing is how many connections are set up at a time.
const dialing = 16

// Grow adds n publishers, and returns when the server has admitted all of them.
func (f *Fleet) Grow(ctx context.Context, n int) error {
	from := int(f.size.Add(int64(n))) - n
	errs := make(chan error, n)
	turn := make(chan struct{}, dialing)
	begin := time.Now()
	for i := from; i < from+n; i++ {
		turn <- struct{}{}
		go func() {
			defer func() { <-turn }()
			c, stream, err := dial(ctx, f.opts.URL(i), f.opts.Chunk)
			if err == nil {
				var p *publisher
				if p, err = newPublisher(c, stream, i); err == nil {
					// All begin at their own places on the same grid, however long the set-up took.
					p.begin = begin.Add(f.opts.Stagger * time.Duration(i-from) / time.Duration(n))
					for p.begin.Before(time.Now()) {
						p.begin = p.begin.Add(f.opts.Stagger)
					}
					select {
					case f.add[i%len(f.add)] <- p:
					case <-f.done:
						p.close()
						err = errors.New("stopped")
					}
				}
			}
			errs <- err
		}()
	}
	var all error
	for range n {
		if err := <-errs; err != nil && all == nil {
			all = fmt.Errorf("fleet: %w", err)
		}
	}
	return all
}

// Err returns why the first lost publisher was lost.
func (f *Fleet) Err() error {
	if e := f.lostErr.Load(); e != nil {
		return *e
	}
	return nil
}

// Stop drops all connections and waits for the workers.
func (f *Fleet) Stop() {
	f.stop()
	f.wait.Wait()
}

// worker sends for its share of the publishers.
type worker struct {
	fleet *Fleet
	reel  *reel
	add   chan *publisher
	queue queue
}

func (w *worker) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		// One that is permanently behind must still look up.
		for n := 0; n < 64 && len(w.queue) > 0 && !w.queue[0].due.After(now); n++ {
			p := w.queue[0]
			if err := w.send(p); err != nil {
				w.lose(p, err)
				continue
			}
			heap.Fix(&w.queue, 0)
			now = time.Now()
		}
		wait := time.Hour
		if len(w.queue) > 0 {
			wait = max(time.Until(w.queue[0].due), 0)
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case p := <-w.add:
			p.due = p.begin
			heap.Push(&w.queue, p)
		case <-w.fleet.done:
			for _, p := range w.queue {
				p.close()
			}
			return
		}
	}
}

func (w *worker) lose(p *publisher, err error) {
	heap.Pop(&w.queue)
	p.close()
	err = fmt.Errorf("publisher %d: %w", p.index, err)
	w.fleet.lostErr.CompareAndSwap(nil, &err)
	w.fleet.Lost.Add(1)
}

// queue is a heap of publishers by what is due next.
type queue []*publisher

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*publisher)) }
func (q *queue) Pop() any {
	old := *q
	p := old[len(old)-1]
	*q = old[:len(old)-1]
	return p
}
