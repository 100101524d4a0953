package http1

import "sync"

// heads lends memory for request heads that are larger than usual, in two sizes, and never more than max in total. When that is used up,
// the connection that has held an incomplete head longest is closed.
type heads struct {
	medium, large int // sizes, in bytes
	max           int64

	mu          sync.Mutex
	lent        int64
	first, last *bigHead // those with an incomplete head, in order of borrowing
	free        [2][]*bigHead
}

// bigHead is lent memory.
type bigHead struct {
	b             []byte
	v             *visitor
	before, after *bigHead
	listed        bool
}

// keepFree is how many of each size are kept for reuse.
const keepFree = 64

// lend lends memory for more than n bytes of a head. The caller must close a returned victim: its memory is returned when it has ended.
func (h *heads) lend(v *visitor, n int) (big *bigHead, victim *visitor, err error) {
	size, class := h.medium, 0
	if n >= size {
		size, class = h.large, 1
	}
	if n >= size {
		return nil, nil, errHeadTooLarge
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lent+int64(size) > h.max {
		b := h.first
		for b != nil && b.v == v {
			b = b.after
		}
		if b == nil {
			return nil, nil, errHeadsFull
		}
		victim = b.v
		h.unlist(b)
	}
	if last := len(h.free[class]) - 1; last >= 0 {
		big = h.free[class][last]
		h.free[class] = h.free[class][:last]
	} else {
		big = &bigHead{b: make([]byte, size)}
	}
	big.v = v
	h.list(big)
	h.lent += int64(size)
	return big, victim, nil
}

// back takes memory back.
func (h *heads) back(b *bigHead) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unlist(b)
	b.v = nil
	h.lent -= int64(len(b.b))
	class := 0
	if len(b.b) != h.medium {
		class = 1
	}
	if len(h.free[class]) < keepFree {
		h.free[class] = append(h.free[class], b)
	}
}

// whole reports that a head is complete: from now on its connection is not closed for another.
func (h *heads) whole(b *bigHead) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unlist(b)
}

// half reports that the memory holds a part of the next head.
func (h *heads) half(b *bigHead) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unlist(b)
	h.list(b)
}

func (h *heads) list(b *bigHead) {
	b.listed, b.before, b.after = true, h.last, nil
	if h.last != nil {
		h.last.after = b
	} else {
		h.first = b
	}
	h.last = b
}

func (h *heads) unlist(b *bigHead) {
	if !b.listed {
		return
	}
	if b.before != nil {
		b.before.after = b.after
	} else {
		h.first = b.after
	}
	if b.after != nil {
		b.after.before = b.before
	} else {
		h.last = b.before
	}
	b.before, b.after, b.listed = nil, nil, false
}

// bytes returns how much is lent or kept.
func (h *heads) bytes() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lent + int64(len(h.free[0])*h.medium+len(h.free[1])*h.large)
}
