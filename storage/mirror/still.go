package mirror

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Bounds on stand-ins that wait for a store: they are not media, and no reason to hold much memory.
const (
	maxStills     = 1024
	maxStillBytes = 16 << 20
	stillPause    = time.Second // between two attempts, doubled up to stillPauses
	stillPauses   = 5 * time.Second
)

// still is a stand-in for a lost segment, on its way to a store.
type still struct {
	name segmenter.Name
	body []byte
}

// stills are the stand-ins that a store does not have yet. Players that do not know EXT-X-GAP request them. The recording is complete
// without them, so they are in no journal, and the oldest are dropped if there are too many.
type stills struct {
	mu     sync.Mutex
	queue  []still
	size   int
	wakeup chan struct{}
}

func newStills() *stills { return &stills{wakeup: make(chan struct{}, 1)} }

// stand queues a copy of a stand-in for a segment for every store.
func (r *recording) stand(row segmenter.Row, parts [][]byte) {
	n := segmenter.Name{Kind: segmenter.KindSegment, App: r.key.App, Stream: r.key.Stream, Recording: r.id, Sequence: row.Sequence}
	body := bytes.Join(parts, nil)
	for _, u := range r.m.uploaders {
		u.stills.put(still{n, body})
	}
	if len(r.tracks) == 0 {
		return
	}
	s, err := r.m.renderer.Segment(parts, &row)
	if err != nil {
		return // there is no CMAF of what came before either
	}
	for _, o := range s.Objects(r.key, r.id, row.Sequence) {
		for _, u := range r.m.uploaders {
			if o.Name.Kind == segmenter.KindFragment {
				u.stills.put(still{o.Name, o.Body})
			}
		}
	}
}

// standIn makes the stand-ins for the segments of the live window that a start found lost, each from the preceding segment on disk. Run has
// not begun.
func (r *recording) standIn() {
	var pool mpegts.Pool
	var before *mpegts.Buffer
	for seq := max(r.first, r.base+1); seq < r.next(); seq++ {
		if w := r.row(seq); !w.Gap && !w.is(isDropped) {
			before = drop(before)
			continue
		}
		if before == nil {
			before = pool.Buffer()
			before.Append(r.bytesOf(seq - 1))
		}
		b := pool.Buffer()
		if mpegts.Still(b, before, r.row(seq-1).Duration) {
			r.stand(*r.row(seq).Row, b.Slices(nil))
		}
		drop(before)
		before = b
	}
	drop(before)
}

// drop releases a buffer, if there is one. Until then its memory is not given back, whoever else does not refer to it any more.
func drop(b *mpegts.Buffer) (none *mpegts.Buffer) {
	if b != nil {
		b.Release()
	}
	return nil
}

// put adds one to the queue.
func (s *stills) put(t still) {
	s.mu.Lock()
	s.queue, s.size = append(s.queue, t), s.size+len(t.body)
	for len(s.queue) > maxStills || s.size > maxStillBytes {
		s.size -= len(s.queue[0].body)
		s.queue = s.queue[1:]
	}
	s.mu.Unlock()
	select {
	case s.wakeup <- struct{}{}:
	default:
	}
}

// pending reports whether any is waiting.
func (s *stills) pending() bool {
	_, ok := s.next()
	return ok
}

// next returns the oldest, or false if there is none.
func (s *stills) next() (still, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return still{}, false
	}
	return s.queue[0], true
}

// sent removes one, unless it had to be dropped meanwhile.
func (s *stills) sent(t still) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 && s.queue[0].name == t.name {
		s.size -= len(t.body)
		s.queue = s.queue[1:]
	}
}

// run sends them until ctx ends. An object that already has the name stays: the segment was not lost after all.
func (s *stills) run(ctx context.Context, store storage.Putter, moved *broadcast) {
	pause := stillPause
	for {
		t, ok := s.next()
		if !ok {
			select {
			case <-s.wakeup:
				continue
			case <-ctx.Done():
				return
			}
		}
		a := storage.Usual(t.name.String())
		a.CacheControl, a.IfAbsent = segmenter.AgeGap, true
		_, err := store.Put(ctx, t.name.String(), bytes.NewReader(t.body), a)
		if err == nil || errors.Is(err, storage.ErrExists) {
			s.sent(t)
			moved.wake()
			pause = stillPause
			continue
		}
		// The attempts of the segments themselves report why a store accepts nothing.
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		pause = min(2*pause, stillPauses)
	}
}
