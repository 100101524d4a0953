package origin

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// pages is a bounded LRU cache of what no snapshot holds: playlists read from the archive, or rendered for one window of time or one
// filter. Requests for a page that is being made wait for it together.
type pages struct {
	max int64 // bytes
	now func() time.Time

	mu    sync.Mutex
	size  int64 // of pages, and of what is lent
	lent  int64
	slow  int64                    // of what is lent: to work that waits for an archive
	byKey map[string]*list.Element // of *page
	order list.List                // most recently used first
}

// page is one cached value. Its maker fills it until done; afterwards it is read-only.
type page struct {
	key     string
	done    chan struct{} // closed when it has been made
	value   any
	err     error
	expires time.Time // zero: not before it is evicted
	size    int64     // bytes
}

// cached returns the page with a key, or has it made. make returns a value, its size in bytes, and how long it may be used, 0 for as long
// as there is room. An error is returned to all who waited, and is not cached. Waiting for another request's page ends with ctx.
func cached[T any](ctx context.Context, c *pages, key string, make func() (T, int64, time.Duration, error)) (T, error) {
	p, mine := c.at(key)
	if mine {
		c.make(p, func() (value any, size int64, life time.Duration, err error) { return make() })
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
	value, _ := p.value.(T)
	return value, p.err
}

// keep puts a value in the place of the one with its key, unless that is being made, for as long as there is room.
func (c *pages) keep(key string, value any, size int64) {
	c.mu.Lock()
	if e := c.byKey[key]; e != nil && e.Value.(*page).size > 0 {
		c.drop(e)
	}
	c.mu.Unlock()
	p, mine := c.at(key)
	if !mine {
		return
	}
	c.make(p, func() (any, int64, time.Duration, error) { return value, size, 0, nil })
}

// find returns the value of a page that has been made; nil where there is none.
func (c *pages) find(key string) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil || e.Value.(*page).size == 0 {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*page).value
}

// forget drops the page with a key, unless it is being made.
func (c *pages) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[key]; e != nil && e.Value.(*page).size > 0 {
		c.drop(e)
	}
}

// forgetAll drops the pages whose keys match. Who waits for one that is being made gets it, and nobody after him.
func (c *pages) forgetAll(match func(key string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, e := range c.byKey {
		if match(key) {
			c.drop(e)
		}
	}
}

// errUnmade is the error of a page whose maker did not finish.
var errUnmade = errors.New("the page was not made")

func (c *pages) make(p *page, make func() (any, int64, time.Duration, error)) {
	var size int64
	var life time.Duration
	p.err = errUnmade
	defer func() {
		c.made(p, size, life)
		close(p.done)
	}()
	p.value, size, life, p.err = make()
}

// pageOverhead is about what a page costs besides its value.
const pageOverhead = 512

// at returns the page with the key. If there is no fresh one, it returns a new page, which the caller must make.
func (c *pages) at(key string) (p *page, mine bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[key]; e != nil {
		p := e.Value.(*page)
		if p.expires.IsZero() || now.Before(p.expires) {
			c.order.MoveToFront(e)
			return p, false
		}
		c.drop(e)
	}
	if c.byKey == nil {
		c.byKey = make(map[string]*list.Element)
	}
	p = &page{key: key, done: make(chan struct{})}
	c.byKey[key] = c.order.PushFront(p)
	return p, true
}

// made accounts for a page and evicts what no longer fits, possibly the page itself if it is larger than the cache.
func (c *pages) made(p *page, size int64, life time.Duration) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[p.key]
	if e == nil || e.Value.(*page) != p {
		return
	}
	if p.err != nil {
		c.drop(e)
		return
	}
	if life > 0 {
		p.expires = now.Add(life)
	}
	p.size = size + int64(len(p.key)) + pageOverhead
	c.size += p.size
	c.shrink()
}

// shrink evicts pages until the rest fit. Pages that are being made have no size yet, and stay.
func (c *pages) shrink() {
	for e := c.order.Back(); e != nil && c.size > c.max; {
		next := e.Prev()
		if e.Value.(*page).size > 0 {
			c.drop(e)
		}
		e = next
	}
}

// lend takes n bytes for work on a page; pages make room. It returns false if too much is lent already: the request must then be tried
// again. A single request may always have what it needs.
func (c *pages) lend(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if live := c.lent - c.slow; live > 0 && live+min(c.slow, c.max/2)+n > c.max {
		return false
	}
	c.take(n)
	return true
}

// lendSlow is lend for work that waits for an archive, which may take long: all of it together gets half of the cache, so that what is in
// memory finds the other half.
func (c *pages) lendSlow(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slow > 0 && c.slow+n > c.max/2 {
		return false
	}
	c.slow += n
	c.take(n)
	return true
}

func (c *pages) take(n int64) {
	c.lent += n
	c.size += n
	c.shrink()
}

func (c *pages) giveBack(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lent -= n
	c.size -= n
}

func (c *pages) giveBackSlow(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slow -= n
	c.lent -= n
	c.size -= n
}

// bytes returns the memory in use.
func (c *pages) bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

func (c *pages) drop(e *list.Element) {
	p := e.Value.(*page)
	c.order.Remove(e)
	delete(c.byKey, p.key)
	c.size -= p.size
}
