package mirror

import (
	"sync"
	"sync/atomic"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// memory bounds the segments that are held because they are not yet on disk or in a bucket, or because an upload from memory is cheaper.
// When it is full, it releases the oldest that the disk or every store has; if that is not enough, it drops the oldest: a gap in the archive is better
// than a server that dies.
type memory struct {
	budget int64
	used   atomic.Int64

	mu    sync.Mutex
	queue []held // oldest first; it still contains segments released meanwhile
	swept int    // length of the queue after the last sweep
}

type held struct {
	r        *recording
	sequence uint64
}

// keep queues segments that r.memory already has and used already counts.
func (m *memory) keep(r *recording, sequences []uint64) {
	if len(sequences) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, seq := range sequences {
		m.queue = append(m.queue, held{r, seq})
	}
	if m.used.Load() > m.budget {
		m.squeeze(true)
	}
	if m.used.Load() > m.budget {
		m.squeeze(false)
	}
	if len(m.queue) > 2*m.swept+1024 {
		m.sweep()
	}
}

// squeeze goes through the queue, oldest first, until the budget is met: it releases what is on disk, or else drops.
func (m *memory) squeeze(diskOnly bool) {
	kept := m.queue[:0]
	for i, h := range m.queue {
		if m.used.Load() <= m.budget {
			kept = append(kept, m.queue[i:]...)
			break
		}
		h.r.mu.Lock()
		seg, w := h.r.memory[h.sequence], h.r.row(h.sequence)
		if seg == nil {
			h.r.mu.Unlock()
			continue
		}
		if !w.none() && (w.is(onDisk) || h.r.safe(w)) { // what every store has can be read there again
			delete(h.r.memory, h.sequence)
			h.r.mu.Unlock()
			m.release(seg)
			continue
		}
		h.r.mu.Unlock()
		if diskOnly {
			kept = append(kept, h)
			continue
		}
		const why = "neither disk nor bucket takes them, and the memory for them is full"
		if h.r.drop(h.sequence, why) {
			h.r.m.stats.Squeezed.Add(1)
			h.r.m.episodes.Dropped(h.r.m.log, why, h.r.m.o.Now())
		}
	}
	clear(m.queue[len(kept):])
	m.queue = kept
}

// sweep removes what was released.
func (m *memory) sweep() {
	kept := make([]held, 0, len(m.queue)/2)
	for _, h := range m.queue {
		h.r.mu.Lock()
		if h.r.memory[h.sequence] != nil {
			kept = append(kept, h)
		}
		h.r.mu.Unlock()
	}
	m.queue, m.swept = kept, len(kept)
}

// release ends the hold on a segment that was removed from its recording's memory; nil does nothing.
func (m *memory) release(s *segmenter.Segment) {
	if s != nil {
		m.used.Add(-s.Size)
		s.Release()
	}
}
