package ingest

import (
	"errors"
	"sync"
	"sync/atomic"
)

// ErrMemory is the cause with which a publisher ends whose unfinished message had to make room.
var ErrMemory = errors.New("the server is short of memory for messages that are not complete: send them faster, or try again later")

// Memory bounds what all publishers together make the server keep before it can be used: half of messages, and frames that wait
// for others. A nil Memory has no bound and counts nothing. It is safe for concurrent use.
//
// Messages may take all of it. Where there is none left, the message that has been unfinished the longest goes, and its
// connection with it: an encoder completes a message in moments, and who has begun many and completes none is no encoder. What
// waits by our own doing, frames that are held to learn something, may take half. It has no owner to be sent away; who finds no
// room for it stops waiting.
type Memory struct {
	Refused atomic.Int64 // messages that had to go, and frames that could not wait

	limit   int64
	used    atomic.Int64
	waiting atomic.Int64 // of used, by Hold

	mu             sync.Mutex
	oldest, newest *Message
}

// NewMemory makes one of limit bytes; 0: none is refused, all are counted.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit} }

// Limit is the bound, in bytes; 0: none.
func (m *Memory) Limit() int64 { return m.limit }

// Used is what is taken now, in bytes.
func (m *Memory) Used() int64 { return m.used.Load() }

// Hold takes n bytes for what waits, and reports whether there was room; then Yield is due.
func (m *Memory) Hold(n int64) bool {
	if m == nil {
		return true
	}
	if w, u := m.waiting.Add(n), m.used.Add(n); m.limit > 0 && (w > m.limit/2 || u > m.limit) {
		m.Yield(n)
		m.Refused.Add(1)
		return false
	}
	return true
}

// Yield gives n bytes back that Hold took.
func (m *Memory) Yield(n int64) {
	if m != nil {
		m.waiting.Add(-n)
		m.used.Add(-n)
	}
}

// Message is the claim of one unfinished message. The zero value claims nothing. Its methods are called by the goroutine that
// reads the message.
type Message struct {
	bytes      int64 // guarded by Memory.mu, as all below
	end        func(error)
	listed     bool
	gone       bool // it had to make room
	prev, next *Message
}

// Take claims n bytes more for c. The error is ErrMemory where c itself is the one that has to go; end is called, from any
// goroutine, where it has to go later, and must not wait.
func (m *Memory) Take(c *Message, n int64, end func(error)) error {
	if m == nil {
		return nil
	}
	victims, err := m.take(c, n, end)
	for _, end := range victims {
		end(ErrMemory)
	}
	return err
}

func (m *Memory) take(c *Message, n int64, end func(error)) (victims []func(error), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.gone {
		return nil, ErrMemory
	}
	if !c.listed {
		c.end = end
		m.push(c)
	}
	for m.limit > 0 && m.used.Load()+n > m.limit {
		old := m.oldest
		if old.end != nil && old != c {
			victims = append(victims, old.end)
		}
		m.drop(old)
		old.gone = true
		m.Refused.Add(1)
		if old == c {
			return victims, ErrMemory
		}
	}
	c.bytes += n
	m.used.Add(n)
	return victims, nil
}

// Give ends a claim: the message is complete, or given up.
func (m *Memory) Give(c *Message) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.listed {
		m.drop(c)
	}
}

// push puts c behind all others. m.mu is held.
func (m *Memory) push(c *Message) {
	c.listed = true
	c.prev, c.next = m.newest, nil
	if m.newest != nil {
		m.newest.next = c
	} else {
		m.oldest = c
	}
	m.newest = c
}

// drop takes c out of the list, and its bytes off the count. m.mu is held.
func (m *Memory) drop(c *Message) {
	m.used.Add(-c.bytes)
	c.bytes = 0
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		m.oldest = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		m.newest = c.prev
	}
	c.prev, c.next, c.end, c.listed = nil, nil, nil, false
}
