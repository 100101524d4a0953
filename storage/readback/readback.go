// Package readback is the cache through which viewers read a store: all who want one object at one time share one request,
// and what was read stays in memory as long as there is room. It refuses to keep what is larger than its share, and to let a
// slow reader hold up others.
package readback

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Options bound what reading back may cost.
type Options struct {
	MaxBytes  int64 // memory for objects, those being read included; default 128 MiB
	MaxObject int64 // larger ones go through without being kept, each reader with a request of his own; default MaxBytes/4
	// MaxPassed bounds the memory, beside MaxBytes, for pieces of objects that go through without being kept; default MaxBytes,
	// and at least 16 MiB. Beyond it Open fails with ErrFull.
	MaxPassed int64
	// Inspect is asked about each object before any of it is given on, and its check is shown all bytes in their order, some
	// hundred of them before the object counts as open. What is not as it should be is a failed request. Of an object that goes
	// through without being kept, and of which nothing is Known, it sees those hundreds alone. nil: all is taken.
	Inspect func(key string, o storage.Object) (check func([]byte) error, err error)

	// Known tells what an object is known to be; not ok where nothing is. Such a one is read to its end before any of it is
	// given on, and one that is something else is a failed request.
	Known func(key string) (k Known, ok bool)

	NegativeTTL time.Duration // how long a missing object stays missing; default 1s
	MaxMissing  int           // missing objects that are remembered; default 4096, and at most a sixteenth of MaxBytes
	Now         func() time.Time
}

// Stats count what Cache does. All fields may be read at any time.
type Stats struct {
	Hits     atomic.Int64 // opened from memory, missing objects included
	Joined   atomic.Int64 // opened while a request for the object was running
	Fetches  atomic.Int64 // requests that fill memory
	Passed   atomic.Int64 // opened past memory: too large, or memory full of objects being read
	Failures atomic.Int64 // requests that failed, missing objects not counted
	Evicted  atomic.Int64 // objects that left memory for room
	Full     atomic.Int64 // objects that could not be opened for want of memory
	Bytes    atomic.Int64 // memory in use
	Lent     atomic.Int64 // memory in use beside it, for objects that go through
}

// Cache reads objects back for viewers. All who want one object at one time share one request, whose bytes go to
// each as they come; the request runs at the store's pace, so a slow reader holds up nobody. What was read stays in
// memory as long as there is room. It is safe for concurrent use.
//
// A failed request fails all who wait for it: put Retry with a few attempts under it.
type Cache struct {
	Stats Stats

	src storage.Getter
	o   Options

	stop context.CancelFunc
	ctx  context.Context // of all fetches, which may outlive the request that began them
	wg   sync.WaitGroup  // fetches

	mu      sync.Mutex
	entries map[string]*entry
	idle    *list.List // of complete entries that nobody reads, the longest unused first
	absent  *list.List // of them, those of missing objects: they make room first
	used    int64
}

// entryCost is charged for an entry besides its bytes, so that missing objects fill memory too.
const entryCost = 1 << 10

// entry is one object in memory, or on its way there.
type entry struct {
	key   string
	ready chan struct{} // closed when object or err is known
	stop  context.CancelFunc

	// Set before ready is closed.
	object storage.Object
	passed bool // not kept: each reader asks the store himself
	data   []byte

	mu     sync.Mutex
	filled int64
	err    error         // why the fetch ended early; fs.ErrNotExist for a missing object
	whole  bool          // nothing will change any more
	more   chan struct{} // closed at the next change

	// Of Cache.mu.
	readers int
	cost    int64
	expires time.Time     // zero: never
	place   *list.Element // in home
	home    *list.List    // idle or absent
	gone    bool          // no longer in entries
}

// New reads from src. Close ends it.
func New(src storage.Getter, o Options) *Cache {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 128 << 20
	}
	if o.MaxObject <= 0 {
		o.MaxObject = o.MaxBytes / 4
	}
	if o.NegativeTTL <= 0 {
		o.NegativeTTL = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxPassed <= 0 {
		o.MaxPassed = max(o.MaxBytes, 16<<20)
	}
	if o.MaxMissing <= 0 {
		o.MaxMissing = int(max(1, min(4096, o.MaxBytes/16/entryCost)))
	}
	r := &Cache{src: src, o: o, entries: make(map[string]*entry), idle: list.New(), absent: list.New()}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// How long a whole object may be answered from memory. Segments are for ever, as their names are never used twice; what stands
// in for a lost one may be mended.
const (
	playlistTTL = 2 * time.Second
	standInTTL  = time.Minute
)

// ttl is that of an object; negative: for ever.
func ttl(key string, o storage.Object) time.Duration {
	switch n, ok := segmenter.ParseName(key); {
	case !ok || n.Kind != segmenter.KindSegment:
		return playlistTTL
	case o.CacheControl == segmenter.AgeGap:
		return standInTTL
	}
	return -1
}

// Close ends all requests and waits for them. Open fails afterwards; contents that are whole stay readable.
func (r *Cache) Close() {
	r.stop()
	r.mu.Lock() // so that no fetch starts once the waiting has begun
	r.mu.Unlock()
	r.wg.Wait()
}

// Open finds an object, and returns as soon as its size is known; its bytes may still be on their way. What does not
// exist is fs.ErrNotExist. The context governs the content's Read as well; the caller closes the content.
func (r *Cache) Open(ctx context.Context, key string) (*Content, error) {
	e, err := r.join(key)
	if err != nil {
		return nil, err
	}
	select {
	case <-e.ready:
	case <-ctx.Done():
		r.leave(e)
		return nil, context.Cause(ctx)
	}
	e.mu.Lock()
	err = e.err
	failed := err != nil && e.filled == 0 && e.data == nil
	e.mu.Unlock()
	if failed {
		r.leave(e)
		return nil, err
	}
	c := &Content{Object: e.object, ctx: ctx, cache: r, entry: e}
	if e.passed {
		r.Stats.Passed.Add(1)
		if err := c.room(); err != nil {
			r.leave(e)
			return nil, fmt.Errorf("get %s: %w", key, err)
		}
	}
	return c, nil
}

// join takes part in an entry, and begins it where there is none.
func (r *Cache) join(key string) (*entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return nil, errors.New("reading back has been closed")
	}
	if e := r.entries[key]; e != nil {
		if e.expires.IsZero() || r.o.Now().Before(e.expires) {
			if e.readers++; e.place != nil {
				e.home.Remove(e.place)
				e.place = nil
			}
			e.mu.Lock()
			whole := e.whole
			e.mu.Unlock()
			if whole {
				r.Stats.Hits.Add(1)
			} else {
				r.Stats.Joined.Add(1)
			}
			return e, nil
		}
		r.forget(e)
	}
	e := &entry{key: key, ready: make(chan struct{}), more: make(chan struct{}), readers: 1, cost: entryCost}
	ctx, stop := context.WithCancel(r.ctx)
	e.stop = stop
	r.entries[key] = e
	r.charge(e.cost)
	r.makeRoom(0)
	r.Stats.Fetches.Add(1)
	r.wg.Go(func() {
		defer stop()
		r.fetch(ctx, e)
	})
	return e, nil
}

// leave ends one's part. A fetch that nobody waits for ends with it.
func (r *Cache) leave(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.readers--; e.readers > 0 {
		return
	}
	e.mu.Lock()
	whole, err := e.whole, e.err
	e.mu.Unlock()
	if whole && !e.gone {
		if e.home = r.idle; err != nil {
			e.home = r.absent
		}
		e.place = e.home.PushBack(e)
		for r.absent.Len() > r.o.MaxMissing {
			r.forget(r.absent.Front().Value.(*entry))
		}
		r.makeRoom(0)
		return
	}
	if !whole {
		e.stop()
	}
	if !e.gone {
		r.forget(e)
	} else {
		r.release(e)
	}
}

// Forget drops the objects whose keys match. Who reads one reads it to its end; who opens it next gets what the store has by then.
func (r *Cache) Forget(match func(key string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, e := range r.entries {
		if match(key) {
			r.forget(e)
		}
	}
}

// forget takes an entry out of reach. Its memory is given back when nobody reads it any more. r.mu is held.
func (r *Cache) forget(e *entry) {
	if e.gone {
		return
	}
	e.gone = true
	delete(r.entries, e.key)
	if e.place != nil {
		e.home.Remove(e.place)
		e.place = nil
	}
	if e.readers == 0 {
		r.release(e)
	}
}

func (r *Cache) release(e *entry) {
	r.charge(-e.cost)
	e.cost = 0
}

func (r *Cache) charge(n int64) {
	r.used += n
	r.Stats.Bytes.Store(r.used)
}

// makeRoom drops what nobody reads until n more bytes fit; false where they cannot. r.mu is held.
func (r *Cache) makeRoom(n int64) bool {
	for r.used+n > r.o.MaxBytes {
		oldest := r.absent.Front()
		if oldest == nil {
			oldest = r.idle.Front()
		}
		if oldest == nil {
			return false
		}
		r.forget(oldest.Value.(*entry))
		r.Stats.Evicted.Add(1)
	}
	return true
}
