// Package watch follows every recording and ladder and reports when one can be watched, falls silent, goes on and ends. It reads timelines
// like every other reader, each at its own pace, and refuses to hold up the writer of any.
package watch

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Kind is what happened to a stream.
type Kind uint8

// The kinds of Change, in the order in which they come: Started once, then Stalled and Resumed alternately, then Ended once. The changes of
// one recording come after those of the previous one.
const (
	Started Kind = iota // it can be watched
	Stalled             // no input comes; its publisher may return
	Resumed             // input comes again
	Ended               // final
)

// Change is something that happened to a stream.
type Change struct {
	Kind      Kind
	Snapshot  *segmenter.Snapshot  // the state in which it was seen
	Ladder    bool                 // it is a ladder, not a stream of its own
	Restored  bool                 // it was recovered after a restart, and nothing has come since; only with Stalled and Ended
	Publisher *segmenter.Publisher // nil: there is none
}

// watcher is one Run.
type watcher struct {
	reg  *segmenter.Registry
	tell func(Change)

	following sync.WaitGroup
	mu        sync.Mutex
	queues    map[segmenter.Key][]followed // recordings to follow, oldest first; each queue has a goroutine
}

// followed is a recording to follow.
type followed struct {
	*segmenter.Timeline
	ladder, restored bool
}

// Run reports every change until ctx ends. Recordings that exist when it is called were recovered after a restart. tell is called from
// several goroutines, but for each stream by one at a time; it should not block for long.
func Run(ctx context.Context, reg *segmenter.Registry, tell func(Change)) error {
	w := &watcher{reg: reg, tell: tell, queues: map[segmenter.Key][]followed{}}
	defer w.following.Wait()
	var seen map[*segmenter.Timeline]bool
	for {
		changed := reg.Changed()
		seen = w.discover(ctx, seen)
		select {
		case <-changed:
		case <-ctx.Done():
			w.discover(ctx, seen) // what ended with the server is reported
			return nil
		}
	}
}

// discover begins to follow what is new. The first time, seen is nil.
func (w *watcher) discover(ctx context.Context, seen map[*segmenter.Timeline]bool) map[*segmenter.Timeline]bool {
	known := map[*segmenter.Timeline]bool{}
	var fresh []followed
	look := func(list []*segmenter.Timeline, ladder bool) {
		for _, t := range list {
			if known[t] = true; !seen[t] {
				fresh = append(fresh, followed{t, ladder, seen == nil})
			}
		}
	}
	look(w.reg.Timelines(), false)
	look(w.reg.Ladders(), true)
	slices.SortFunc(fresh, func(a, b followed) int { return cmp.Compare(a.Recording(), b.Recording()) })
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range fresh {
		key := f.Key()
		queue, busy := w.queues[key]
		w.queues[key] = append(queue, f)
		if !busy {
			w.following.Go(func() { w.stream(ctx, key) })
		}
	}
	return known
}

// stream follows the recordings of one stream, one after the other.
func (w *watcher) stream(ctx context.Context, key segmenter.Key) {
	for {
		w.mu.Lock()
		queue := w.queues[key]
		if len(queue) == 0 {
			delete(w.queues, key)
			w.mu.Unlock()
			return
		}
		f := queue[0]
		w.queues[key] = queue[1:]
		w.mu.Unlock()
		if !w.follow(ctx, f) {
			return
		}
	}
}

// follow reports on one recording until it has ended. It returns false if ctx has ended.
func (w *watcher) follow(ctx context.Context, f followed) bool {
	s := f.Snapshot()
	last, begun := Started, false // begun: last was reported
	if f.restored && (f.ladder || s.Entry != nil) {
		last, begun = Stalled, true
		if s.State < segmenter.Live || s.State == segmenter.Stalled {
			w.change(f, Stalled, s, true)
		}
	}
	for restored := begun; ; s = f.Snapshot() {
		if !begun && s.Entry != nil {
			begun = true
			w.change(f, Started, s, false)
		}
		switch {
		case !begun:
		case s.State == segmenter.Live && last == Stalled:
			last, restored = Resumed, false
			w.change(f, Resumed, s, false)
		case s.State == segmenter.Stalled && last != Stalled:
			last = Stalled
			w.change(f, Stalled, s, false)
		case s.Yielded: // it goes on at another server
		case s.State == segmenter.Ended:
			w.change(f, Ended, s, restored)
		}
		if s.State == segmenter.Ended {
			return true
		}
		select {
		case <-s.Changed():
		case <-ctx.Done():
			if f.Snapshot() == s {
				return false
			}
		}
	}
}

func (w *watcher) change(f followed, kind Kind, s *segmenter.Snapshot, restored bool) {
	c := Change{Kind: kind, Snapshot: s, Ladder: f.ladder, Restored: restored}
	if p, ok := w.reg.Publisher(f.Key()); ok {
		c.Publisher = &p
	}
	w.tell(c)
}
