// Package fence writes objects that are written again and again, playlists above all, each only over what its writer last wrote or read there.
// So a writer that was away, while another took its place, cannot undo what that one wrote. It refuses to say whose turn it is: see package
// claim.
package fence

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Fence is in front of one store. It is safe for concurrent use, for any one key by one writer at a time.
type Fence struct {
	store storage.Putter
	log   *slog.Logger

	mu      sync.Mutex
	tags    map[string]tag
	fitness Fitness
	why     string // it is Unfit
	blind   bool   // that the store cannot be read was logged
}

// tag is what is known to be under a key.
type tag struct {
	known bool     // what follows is known
	there bool     // there is an object
	etag  string   // its; "": there is none, or the store states none
	open  []string // MD5, in hex, of bodies whose Put got no answer: one of them may be there by now
	odd   bool     // another object than was expected has been there
	told  bool     // that was logged
}

// maxOpen bounds tag.open.
const maxOpen = 8

// attempts is how often one Put may find another object than it expected.
const attempts = 3

// New returns a fence in front of a store.
func New(store storage.Putter, log *slog.Logger) *Fence {
	return &Fence{store: store, log: log, tags: map[string]tag{}}
}

// Put writes an object over what was last written or read under its key. If that is not known it is read first; if something else is found
// there, it is read, and Put tries again. Whenever it is about to write over something that it has just read, and that is not its own, it
// asks mine, and fails with its error. If the object changes time and again, Put fails with storage.ErrChanged. If mine is nil, or the store
// is known to be Unfit, Put writes over whatever is there.
func (f *Fence) Put(ctx context.Context, key string, body []byte, a storage.Attributes, mine func(context.Context) error) error {
	sum := md5.Sum(body)
	a.MD5, a.IfMatch, a.IfAbsent = sum[:], "", false
	for range attempts {
		if mine != nil && f.Fitness() != Unfit {
			t, err := f.expect(ctx, key, mine)
			if err != nil {
				return err
			}
			a.IfMatch, a.IfAbsent = t.etag, !t.there
		} else {
			a.IfMatch, a.IfAbsent = "", false
		}
		etag, err := f.store.Put(ctx, key, bytes.NewReader(body), a)
		switch kind := storage.KindOf(err); {
		case err == nil:
			f.Wrote(key, etag)
			return nil
		case errors.Is(err, errors.ErrUnsupported):
			f.judge(err.Error())
		case kind == storage.Changed, kind == storage.Exists:
			f.surprised(key)
		case kind == storage.Permanent && a.IfMatch != "" && f.Fitness() == Unknown:
			return f.without(ctx, key, body, a, err)
		default:
			if kind != storage.Permanent && kind != storage.Missing {
				f.unanswered(key, hex.EncodeToString(sum[:]))
			}
			return err
		}
	}
	return fmt.Errorf("put %s: it changes as often as it is read: %w", key, storage.ErrChanged)
}

// without is Put without a condition, where the store has refused one: it may refuse that alone, as Amazon does with credentials that may
// not read.
func (f *Fence) without(ctx context.Context, key string, body []byte, a storage.Attributes, refusal error) error {
	a.IfMatch = ""
	etag, err := f.store.Put(ctx, key, bytes.NewReader(body), a)
	if err != nil {
		return refusal
	}
	f.judge(refusal.Error())
	f.Wrote(key, etag)
	return nil
}

// expect returns what is under a key, and reads it if it must.
func (f *Fence) expect(ctx context.Context, key string, mine func(context.Context) error) (tag, error) {
	f.mu.Lock()
	t := f.tags[key]
	f.mu.Unlock()
	if t.known {
		return t, nil
	}
	own, err := f.look(ctx, key)
	if storage.KindOf(err) == storage.Permanent {
		f.told(err)
		f.set(key, tag{known: true, there: true}) // whatever it is
		own, err = false, nil
	}
	if err != nil {
		return t, err
	}
	if !own {
		err = mine(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t = f.tags[key]
	if err != nil { // what was read is worth nothing
		t.known = false
		f.tags[key] = t
	}
	return t, err
}

// Look reads what is under keys, for Puts that follow. It fails if the store cannot be read; Put then writes over whatever is there. Who then makes sure that it is its turn to write there knows that nobody else did
// in between.
func (f *Fence) Look(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if _, err := f.look(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// look is Look for one key. own means that it is the body of a Put that got no answer.
func (f *Fence) look(ctx context.Context, key string) (own bool, err error) {
	g, ok := storage.As[storage.Getter](f.store)
	if !ok {
		f.set(key, tag{known: true, there: true}) // whatever it is
		return false, nil
	}
	o, err := g.Stat(ctx, key)
	f.mu.Lock()
	t := f.tags[key]
	f.mu.Unlock()
	t.known, t.there, t.etag = true, err == nil, o.ETag
	switch storage.KindOf(err) {
	case storage.None:
	case storage.Missing:
		t.etag = ""
	default:
		return false, err
	}
	own = t.there && slices.Contains(t.open, t.etag)
	if t.odd && !own && !t.told {
		t.told = true
		f.log.Warn("a playlist is not as this server left it; if no other server has the stream it is written again: look who else writes to the bucket", "key", key, "there", t.there)
	}
	if own {
		t.open = nil
	}
	f.set(key, t)
	return own, nil
}

// told logs once that nothing can be read.
func (f *Fence) told(err error) {
	f.mu.Lock()
	first := !f.blind
	f.blind = true
	f.mu.Unlock()
	if first {
		f.log.Warn("the store does not say what it has under the names of playlists, so they are written over whatever it is, and another server's are not spared: allow these credentials s3:GetObject and s3:ListBucket", "err", err)
	}
}

func (f *Fence) set(key string, t tag) {
	f.mu.Lock()
	f.tags[key] = t
	f.mu.Unlock()
}

// Fresh says that nothing can be under keys: their names are new.
func (f *Fence) Fresh(keys ...string) {
	for _, key := range keys {
		f.mu.Lock()
		if _, ok := f.tags[key]; !ok {
			f.tags[key] = tag{known: true}
		}
		f.mu.Unlock()
	}
}

// Again says that what is under a key is read, and mine asked, before it is written over again. An ETag may be that of the content alone: then it
// does not tell that another writer has written the same meanwhile.
func (f *Fence) Again(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.tags[key]; t.known && t.there {
		t.known = false
		f.tags[key] = t
	}
}

// Wrote says what is under a key since a write that succeeded.
func (f *Fence) Wrote(key, etag string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tags[key] = tag{known: true, there: true, etag: etag, told: f.tags[key].told}
}

// surprised says that something else is under a key than was expected.
func (f *Fence) surprised(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tags[key]
	t.known, t.odd = false, true
	f.tags[key] = t
}

// unanswered says that a body may be under a key by now.
func (f *Fence) unanswered(key, sum string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tags[key]
	if t.open = append(t.open, sum); len(t.open) > maxOpen {
		t.open = slices.Delete(t.open, 0, 1)
	}
	f.tags[key] = t
}

// Forget forgets all keys for which gone returns true: nobody writes them any more.
func (f *Fence) Forget(gone func(key string) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range f.tags {
		if gone(key) {
			delete(f.tags, key)
		}
	}
}

// Of returns a function for Forget: the keys of one recording, whose ID is in no other's name.
func Of(prefix, recording string) func(key string) bool {
	return func(key string) bool { return strings.HasPrefix(key, prefix) && strings.Contains(key, recording) }
}
