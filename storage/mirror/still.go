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

// Bounds of what waits for a store in the place of lost segments: it is no media, and no reason to hold much memory.
const (
	maxStills     = 1024
	maxStillBytes = 16 << 20
	stillPause    = time.Second // between two attempts, doubled up to stillPauses
	stillPauses   = 5 * time.Second
)

// still is what stands in for a lost segment, on its way to a store.
type still struct {
	name segmenter.Name
	body []byte
}

// stills are those that a store does not have yet. Players that do not know EXT-X-GAP ask for them; the recording is as whole
// without them as with them, so that no journal tells of them, and the oldest go where there are too many.
type stills struct {
	mu     sync.Mutex
	queue  []still
	size   int
	wakeup chan struct{}
}

func newStills() *stills { return &stills{wakeup: make(chan struct{}, 1)} }

// stand has every store take what stands in for a segment, by copying it.
func (r *recording) stand(seq uint64, parts [][]byte) {
	n := segmenter.Name{Kind: segmenter.KindSegment, App: r.key.App, Stream: r.key.Stream, Recording: r.id, Sequence: seq}
	body := bytes.Join(parts, nil)
	for _, u := range r.m.uploaders {
		u.stills.put(still{n, body})
	}
}

// standIn makes what stands in for the segments of the live window that a start found to be lost, of the segment on disk that
// comes before each. Run has not begun.
func (r *recording) standIn() {
	var pool mpegts.Pool
	var before *mpegts.Buffer
	for seq := max(r.first, r.base+1); seq < r.next(); seq++ {
		if w := r.row(seq); !w.Gap && !w.is(isDropped) {
			before = nil
			continue
		}
		if before == nil {
			before = pool.Buffer()
			before.Append(r.bytesOf(seq - 1))
		}
		b := pool.Buffer()
		if mpegts.Still(b, before, r.row(seq-1).Duration) {
			r.stand(seq, b.Slices(nil))
		}
		before = b
	}
}

// put lets one wait for its turn.
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

// pending reports whether any waits.
func (s *stills) pending() bool {
	_, ok := s.next()
	return ok
}

// next is the oldest; false where there is none.
func (s *stills) next() (still, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return still{}, false
	}
	return s.queue[0], true
}

// sent forgets one, unless it had to go meanwhile.
func (s *stills) sent(t still) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 && s.queue[0].name == t.name {
		s.size -= len(t.body)
		s.queue = s.queue[1:]
	}
}

// run sends them until ctx ends. Whatever stands under the name already stays: the segment was not lost after all.
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
		a := storage.AttributesOf(segmenter.KindSegment, 0, true)
		a.CacheControl, a.IfAbsent = segmenter.AgeGap, true
		err := store.Put(ctx, t.name.String(), bytes.NewReader(t.body), a)
		if err == nil || errors.Is(err, storage.ErrExists) {
			s.sent(t)
			moved.wake()
			pause = stillPause
			continue
		}
		// Why a store does not take anything is for the segments' own attempts to say.
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
