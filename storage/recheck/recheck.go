// Package recheck checks playlists whose write got no answer: a store, or a proxy before it, may carry out such a write minutes later, over
// newer content. It refuses to touch what somebody else has written or removed, and to check anything but playlists.
package recheck

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

const (
	// after is how long after its last write a playlist is checked.
	after = 3 * time.Minute
	// pause is the time to the next attempt if the check fails.
	pause = time.Minute
	// patience is how long checks are attempted: credentials may allow writing and not reading.
	patience = time.Hour
	// maxPlaylists bounds the playlists in doubt; the limit takes effect in the longest outages.
	maxPlaylists = 256
	// MaxDoubts bounds the known bodies of each; the oldest is dropped.
	MaxDoubts = 256
)

// Sum identifies a body.
type Sum [sha256.Size]byte

// Owner keeps doubts across a restart. Its methods are called without any lock held, and take their own.
type Owner interface {
	// Doubted reports that a body of the playlist under key may be written late. It may be called repeatedly.
	Doubted(key string, body Sum)
	// Sure reports that nothing about key is in doubt any more.
	Sure(key string)
}

// Playlists are those of one store whose last write may be overwritten by an earlier one. It is safe for concurrent use.
type Playlists struct {
	store storage.Putter
	log   *slog.Logger
	now   func() time.Time
	wrote func(key, etag string)

	mu      sync.Mutex
	doubts  map[string]*doubt
	due     map[string]*check
	changed chan struct{} // capacity one
}

// doubt is a playlist some of whose writes got no answer.
type doubt struct {
	bodies []Sum
	owners []Owner
}

// check is what a key should hold at a time.
type check struct {
	at, until time.Time
	body      []byte
	a         storage.Attributes
}

// New returns Playlists for one store, on the clock now. What they write they tell wrote, if that is not nil.
func New(store storage.Putter, log *slog.Logger, now func() time.Time, wrote func(key, etag string)) *Playlists {
	return &Playlists{store: store, log: log, now: now, wrote: wrote, doubts: map[string]*doubt{}, due: map[string]*check{}, changed: make(chan struct{}, 1)}
}

// Doubt records that a write of a playlist got no answer. If there are too many doubts to keep, it is ignored. Earlier content of the
// playlist is no longer checked: this body is newer, and correct if it arrived; the next successful write is checked.
func (p *Playlists) Doubt(key string, body []byte, by Owner) {
	sum := Sum(sha256.Sum256(body))
	p.mu.Lock()
	delete(p.due, key)
	p.mu.Unlock()
	if p.Recall(key, sum, by) {
		by.Doubted(key, sum)
	}
}

// Recall restores a doubt that an owner has kept. It reports whether there is room for it.
func (p *Playlists) Recall(key string, body Sum, by Owner) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.doubts[key]
	if d == nil {
		if len(p.doubts) >= maxPlaylists {
			return false
		}
		d = &doubt{}
		p.doubts[key] = d
	}
	d.owned(by)
	if !slices.Contains(d.bodies, body) {
		d.bodies = append(d.bodies, body)
	}
	if len(d.bodies) > MaxDoubts {
		d.bodies = d.bodies[1:]
	}
	return true
}

// Forget drops the doubts about a playlist that nobody will write any more.
func (p *Playlists) Forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.doubts, key)
	delete(p.due, key)
}

// owned reports whether an owner is new, and adds it.
func (d *doubt) owned(by Owner) (fresh bool) {
	if slices.Contains(d.owners, by) {
		return false
	}
	d.owners = append(d.owners, by)
	return true
}

// Written records that a write succeeded. If the playlist is in doubt, the writer becomes an owner of the doubt.
func (p *Playlists) Written(key string, body []byte, a storage.Attributes, by Owner) {
	p.mu.Lock()
	d := p.doubts[key]
	if d == nil {
		p.mu.Unlock()
		return
	}
	at := p.now().Add(after)
	p.due[key] = &check{at: at, until: at.Add(patience), body: body, a: a}
	var bodies []Sum
	if d.owned(by) {
		bodies = slices.Clone(d.bodies)
	}
	p.mu.Unlock()
	for _, sum := range bodies {
		by.Doubted(key, sum)
	}
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Len returns how many playlists are in doubt.
func (p *Playlists) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.doubts)
}

// Run checks playlists until ctx ends.
func (p *Playlists) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		key, c := p.next()
		var alarm <-chan time.Time
		if c != nil {
			timer.Reset(max(0, c.at.Sub(p.now())))
			alarm = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		case <-alarm:
			err := p.putRight(ctx, key, c)
			if ctx.Err() == nil {
				p.done(key, c, err)
			}
		}
	}
}

// next returns the playlist that is due first; "" if there is none.
func (p *Playlists) next() (key string, c *check) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, v := range p.due {
		if c == nil || v.at.Before(c.at) {
			key, c = k, v
		}
	}
	return key, c
}

// done ends a check, unless the playlist was written again meanwhile; a failed check is postponed.
func (p *Playlists) done(key string, c *check, err error) {
	now := p.now()
	p.mu.Lock()
	if p.due[key] != c {
		p.mu.Unlock()
		return
	}
	if err != nil && now.Before(c.until) {
		c.at = now.Add(pause)
		p.mu.Unlock()
		return
	}
	owners := p.doubts[key].owners
	delete(p.due, key)
	delete(p.doubts, key)
	p.mu.Unlock()
	if err != nil {
		p.log.Warn("a playlist had a write without an answer, and cannot be read to see whether that came late; it is left as it is: let these credentials read the bucket, and see what recordings repair says", "key", key, "err", err)
	}
	for _, o := range owners {
		o.Sure(key)
	}
}

// putRight writes a playlist again if the store holds an older body whose write got no answer. It leaves what somebody else has written or
// removed.
func (p *Playlists) putRight(ctx context.Context, key string, c *check) error {
	g, ok := storage.As[storage.Getter](p.store)
	if !ok {
		return nil
	}
	body, o, err := g.Get(ctx, key, 0, -1)
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
	there := Sum(h.Sum(nil))
	if there == sha256.Sum256(c.body) || !p.late(key, c, there) {
		return nil
	}
	a := c.a
	a.IfMatch = o.ETag // if there is another by now, somebody has written since
	etag, err := p.store.Put(ctx, key, bytes.NewReader(c.body), a)
	if errors.Is(err, errors.ErrUnsupported) {
		etag, err = p.store.Put(ctx, key, bytes.NewReader(c.body), c.a)
	}
	switch {
	case storage.KindOf(err) == storage.Changed:
		return nil
	case err != nil:
		return err
	}
	if p.wrote != nil {
		p.wrote(key, etag)
	}
	p.log.Warn("an upload that had no answer came late and replaced a newer playlist; the newer one has been put back", "key", key)
	return nil
}

// late reports whether a body is one whose write got no answer, with nothing written since.
func (p *Playlists) late(key string, c *check, body Sum) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.due[key] == c && slices.Contains(p.doubts[key].bodies, body)
}
