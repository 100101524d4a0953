package webhook

import (
	"context"
	"iter"
	"sync"
)

// feedBuffer is how many events may wait for one subscriber; a slower one loses the oldest of them.
const feedBuffer = 256

// feedRecent is how many events are kept for returning subscribers.
const feedRecent = 256

// All stands for the ID of an event before all that are kept.
const All = "*"

// feed passes every event to all subscribers. It never waits for any of them. The zero value is ready to use.
type feed struct {
	mu     sync.Mutex
	subs   map[*subscriber]struct{}
	recent []Event // without the optional ones, oldest first
}

// subscriber is one reader. It is guarded by feed.mu, except for wake.
type subscriber struct {
	queue []Event
	lost  int
	wake  chan struct{} // capacity 1
}

// watched reports whether there are subscribers.
func (f *feed) watched() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.subs) > 0
}

func (f *feed) publish(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !optional(e.Type) {
		if len(f.recent) == feedRecent {
			f.recent = append(f.recent[:0], f.recent[1:]...)
		}
		f.recent = append(f.recent, e)
	}
	for s := range f.subs {
		s.add(e)
	}
}

func (s *subscriber) add(e Event) {
	if len(s.queue) == feedBuffer {
		s.queue = append(s.queue[:0], s.queue[1:]...)
		s.lost++
	}
	s.queue = append(s.queue, e)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// subscribe gives events from now on, each with how many were lost before it, until ctx ends. With after, the ID of an event
// that is still kept, those come first that happened since; with All, all that are kept.
func (f *feed) subscribe(ctx context.Context, after string) iter.Seq2[Event, int] {
	s := &subscriber{wake: make(chan struct{}, 1)}
	f.mu.Lock()
	if after == All {
		for _, e := range f.recent {
			s.add(e)
		}
	}
	for i := range f.recent {
		if after != "" && f.recent[i].ID == after {
			for _, e := range f.recent[i+1:] {
				s.add(e)
			}
		}
	}
	if f.subs == nil {
		f.subs = map[*subscriber]struct{}{}
	}
	f.subs[s] = struct{}{}
	f.mu.Unlock()
	leave := func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subs, s)
	}
	context.AfterFunc(ctx, leave) // whether it is read or not
	return func(yield func(Event, int) bool) {
		defer leave()
		for {
			f.mu.Lock()
			queue, lost := s.queue, s.lost
			s.queue, s.lost = nil, 0
			f.mu.Unlock()
			for i := range queue {
				if ctx.Err() != nil || !yield(queue[i], lost) {
					return
				}
				lost = 0
			}
			select {
			case <-s.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}
