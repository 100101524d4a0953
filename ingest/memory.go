package ingest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrMemory ends a publisher whose unfinished message had to make room.
var ErrMemory = errors.New("the server is short of memory for messages that are not complete: send them faster, or try again later")

// Memory bounds what all publishers together make the server hold before it can be used: half-received messages, and frames that wait for
// others. A nil Memory has no bound and counts nothing. It is safe for concurrent use.
//
// Messages may take all of it. When none is left, the message with the highest square of bytes times age goes, and its connection with it:
// an encoder completes a message in moments, and a peer that holds much and completes nothing is no encoder. The square protects pictures
// on slow lines, or on a server with no CPU left to read them: they are small. Frames that we hold ourselves to learn something may take
// half. They have no owner to disconnect; if there is no room, the holder stops waiting.
type Memory struct {
	Refused atomic.Int64 // messages that were discarded, and frames that could not wait

	limit   int64
	used    atomic.Int64
	waiting atomic.Int64 // part of used, taken by Hold

	mu      sync.Mutex
	all     map[*Message]struct{}
	leaving int64         // part of used, by discarded messages that are not released yet
	left    chan struct{} // closed when leaving changes
}

// NewMemory returns a Memory of limit bytes. With 0 nothing is refused, but everything is counted.
func NewMemory(limit int64) *Memory {
	return &Memory{limit: limit, all: map[*Message]struct{}{}, left: make(chan struct{})}
}

// Limit returns the bound in bytes; 0 means none.
func (m *Memory) Limit() int64 { return m.limit }

// Used returns the number of bytes taken now.
func (m *Memory) Used() int64 { return m.used.Load() }

// Hold takes n bytes for waiting frames and reports whether there was room. If so, the caller must call Yield.
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

// Yield releases n bytes taken by Hold.
func (m *Memory) Yield(n int64) {
	if m != nil {
		m.waiting.Add(-n)
		m.used.Add(-n)
	}
}

// Message is the claim of one unfinished message. The zero value claims nothing. Only the goroutine that reads the message calls its
// methods.
type Message struct {
	// Quit ends a wait of Take's for others when it is closed: the connection is to end. It is set before the first claim; nil never does.
	Quit <-chan struct{}

	bytes int64 // guarded by Memory.mu, as are all below
	began time.Time
	end   func(error)
	gone  bool // it had to make room
}

// weight decides which message is discarded.
func (c *Message) weight(more int64, now time.Time) float64 {
	n := float64(c.bytes + more)
	return n * n * (now.Sub(c.began) + 10*time.Millisecond).Seconds()
}

// takeWait bounds how long a message waits for the memory of those discarded for it.
const takeWait = 5 * time.Second

// Take claims n bytes more for c. Where others have to go for it, it waits until they have left their memory, as far as there is
// not enough without. The error is ErrMemory where c itself is the one that has to go, and ErrShutdown where c.Quit was closed meanwhile. end is
// called, from any goroutine, where c has to go later, and must not wait.
func (m *Memory) Take(c *Message, n int64, end func(error)) error {
	if m == nil {
		return nil
	}
	for deadline := (<-chan time.Time)(nil); ; {
		victims, left, err := m.take(c, n, end)
		for _, end := range victims {
			end(ErrMemory)
		}
		if left == nil {
			return err
		}
		if deadline == nil {
			deadline = time.After(takeWait)
		}
		select {
		case <-left:
		case <-deadline:
			return ErrMemory
		case <-c.Quit:
			return ErrShutdown
		}
	}
}

// take is Take without waiting. If it would wait, it returns left, the channel to wait for.
func (m *Memory) take(c *Message, n int64, end func(error)) (victims []func(error), left <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.gone {
		return nil, nil, ErrMemory
	}
	if _, known := m.all[c]; !known {
		c.end, c.began = end, time.Now()
		m.all[c] = struct{}{}
	}
	for m.limit > 0 && m.used.Load()-m.leaving+n > m.limit {
		old := m.heaviest(c, n)
		if old.end != nil && old != c {
			victims = append(victims, old.end)
		}
		delete(m.all, old)
		old.gone = true
		m.leaving += old.bytes
		m.Refused.Add(1)
		m.wake() // it may be waiting itself
		if old == c {
			return victims, nil, ErrMemory
		}
	}
	if m.leaving > 0 && m.used.Load()+n > m.limit {
		return victims, m.left, nil
	}
	c.bytes += n
	m.used.Add(n)
	return victims, nil, nil
}

// Give releases a claim when the message is complete or given up.
func (m *Memory) Give(c *Message) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, c)
	if c.gone {
		m.leaving -= c.bytes
	}
	m.used.Add(-c.bytes)
	if c.bytes = 0; c.gone {
		m.wake()
	}
}

// wake tells waiters that something changed. m.mu is held.
func (m *Memory) wake() {
	close(m.left)
	m.left = make(chan struct{})
}

// heaviest returns the message with the highest weight, counting the n bytes more that c asks for. m.mu is held.
func (m *Memory) heaviest(c *Message, n int64) *Message {
	now := time.Now()
	most, weight := c, c.weight(n, now)
	for other := range m.all {
		if w := other.weight(0, now); other != c && w > weight {
			most, weight = other, w
		}
	}
	return most
}
