package chunk

import (
	"fmt"
	"math/bits"
	"sync"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Memory is lent to the readers of many connections, each of which needs it only while bytes are in transit: what one reader has just used
// is still in the CPU cache for the next. The zero value is ready to use, and safe for concurrent use.
type Memory struct {
	pools [16]sync.Pool // of *piece, by the power of two above minBuffer
}

// piece is memory whose size is a power of two, at least minBuffer.
type piece struct{ b []byte }

// roomFor returns the size, in bytes, of a piece that holds n bytes.
func roomFor(n int) int { return max(minBuffer, 1<<bits.Len(uint(n-1))) }

func (m *Memory) pool(size int) *sync.Pool {
	return &m.pools[min(bits.Len(uint(size/minBuffer))-1, len(m.pools)-1)]
}

// get lends a piece for n bytes, with undefined content.
func (m *Memory) get(n int) *piece {
	size := roomFor(n)
	if p, ok := m.pool(size).Get().(*piece); ok && cap(p.b) >= n {
		p.b = p.b[:0]
		return p
	}
	return &piece{make([]byte, 0, size)}
}

func (m *Memory) put(p *piece) { m.pool(cap(p.b)).Put(p) }

// Account makes the reader claim its unfinished messages of m, beside its own limits. Where one has to make room, end is called
// with the cause, from any goroutine; it must not wait. When quit is closed, nothing waits for memory any more.
func (r *Reader) Account(m *ingest.Memory, end func(error), quit <-chan struct{}) {
	r.claims, r.end, r.quit = m, end, quit
}

// Close releases what is held. Nothing more may be read.
func (r *Reader) Close() {
	for _, s := range r.low {
		if s != nil {
			s.held = nil
			r.claims.Give(&s.claim)
		}
	}
	for _, s := range r.high {
		s.held = nil
		r.claims.Give(&s.claim)
	}
}

// firstHeld is how many bytes an unfinished message may claim by its length alone. Beyond that, memory follows the bytes that came.
const firstHeld = 32 << 10

// hold appends part to the unfinished message.
func (r *Reader) hold(s *stream, part []byte) error {
	have := s.have()
	if need := have + len(part); s.held == nil || need > cap(s.held.b) {
		larger := roomFor(max(need, min(s.length, max(firstHeld, 4*have))))
		if s.held != nil {
			r.held -= cap(s.held.b)
		}
		if r.held += larger; r.held > r.limits.Held {
			return fmt.Errorf("%w: unfinished messages of more than %d bytes", ErrLimit, r.limits.Held)
		}
		more := int64(larger)
		if s.held != nil {
			more -= int64(cap(s.held.b))
		}
		s.claim.Quit = r.quit
		if err := r.claims.Take(&s.claim, more, r.end); err != nil {
			return err
		}
		old := s.held
		s.held = r.memory.get(larger)
		if old != nil {
			s.held.b = append(s.held.b, old.b...)
			r.memory.put(old)
		}
	}
	s.held.b = append(s.held.b, part...)
	return nil
}

// free returns a message's memory.
func (r *Reader) free(p *piece) {
	if p != nil {
		r.held -= cap(p.b)
		r.memory.put(p)
	}
}

// have returns how many bytes of the unfinished message have come.
func (s *stream) have() int {
	if s.held == nil {
		return 0
	}
	return len(s.held.b)
}
