package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

const (
	// recheckAfter is how long after the last write of a playlist it is looked at again, where an earlier write of it had no
	// answer: a store, or a proxy before it, may carry such a one out minutes later, over what came after it.
	recheckAfter = 3 * time.Minute
	// recheckPause is the time to the next attempt where that cannot be done.
	recheckPause = time.Minute
	// maxRechecks bounds the playlists that are kept for it, of each store; those of the longest outage come last.
	maxRechecks = 256
	// maxDoubts bounds the bodies that are known of each, the oldest of which goes.
	maxDoubts = 256
)

// rechecks are the playlists of one store whose last write may be overtaken by an earlier one. They do not outlive the
// process: after a stop in between, `recordings repair` puts such a playlist right.
type rechecks struct {
	mu      sync.Mutex
	doubts  map[string][]sum // by key: the bodies whose writes had no answer
	due     map[string]*recheck
	changed chan struct{} // one place
}

// sum tells bodies apart.
type sum [sha256.Size]byte

// recheck is what a key should hold at a time, and what it may hold instead.
type recheck struct {
	at     time.Time
	body   []byte
	a      storage.Attributes
	doubts []sum
}

func newRechecks() *rechecks {
	return &rechecks{doubts: map[string][]sum{}, due: map[string]*recheck{}, changed: make(chan struct{}, 1)}
}

// doubt notes that a write of a playlist had no answer.
func (c *rechecks) doubt(o *object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.doubts[o.key]
	if list == nil && len(c.doubts) >= maxRechecks {
		return
	}
	if list = append(list, sha256.Sum256(o.body)); len(list) > maxDoubts {
		list = list[1:]
	}
	c.doubts[o.key] = list
}

// written notes that a write succeeded.
func (c *rechecks) written(o *object, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	doubts := c.doubts[o.key]
	if doubts == nil {
		return
	}
	c.due[o.key] = &recheck{now.Add(recheckAfter), o.body, o.a, slices.Clone(doubts)}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// next is the one that is due first; "" where there is none.
func (c *rechecks) next() (key string, r *recheck) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, v := range c.due {
		if r == nil || v.at.Before(r.at) {
			key, r = k, v
		}
	}
	return key, r
}

// done ends a recheck, unless the playlist was written anew meanwhile; one that failed is put off.
func (c *rechecks) done(key string, r *recheck, err error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.due[key] != r:
	case err != nil:
		r.at = now.Add(recheckPause)
	default:
		delete(c.due, key)
		delete(c.doubts, key)
	}
}

// recheck looks again at playlists until ctx ends.
func (u *Uploader) recheck(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		key, r := u.rechecks.next()
		var alarm <-chan time.Time
		if r != nil {
			timer.Reset(max(0, r.at.Sub(u.m.o.Now())))
			alarm = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-u.rechecks.changed:
		case <-alarm:
			err := u.putRight(ctx, key, r)
			u.rechecks.done(key, r, err, u.m.o.Now())
		}
	}
}

// putRight writes a playlist again where the store holds an older one that had no answer. What somebody else has written, or
// removed, is left.
func (u *Uploader) putRight(ctx context.Context, key string, r *recheck) error {
	g, ok := storage.As[storage.Getter](u.store)
	if !ok {
		return nil
	}
	body, _, err := g.Get(ctx, key, 0, -1)
	if storage.KindOf(err) == storage.Missing {
		return nil
	}
	if err != nil {
		return err
	}
	h := sha256.New()
	_, err = io.Copy(h, body)
	body.Close()
	if err != nil {
		return err
	}
	there := sum(h.Sum(nil))
	if there == sha256.Sum256(r.body) || !slices.Contains(r.doubts, there) || u.rechecks.current(key) != r {
		return nil
	}
	if err := u.store.Put(ctx, key, bytes.NewReader(r.body), r.a); err != nil {
		return err
	}
	u.log.Warn("an upload that had no answer came late and replaced a newer playlist; the newer one has been put back", "key", key)
	return nil
}

// current is what a key should hold now.
func (c *rechecks) current(key string) *recheck {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.due[key]
}
