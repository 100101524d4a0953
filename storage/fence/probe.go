package fence

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Fitness is what is known of a store's conditions.
type Fitness uint8

// The values of Fitness.
const (
	Unknown Fitness = iota // it was not asked, or has not answered: conditions are sent all the same
	Fit                    // it keeps to them
	Unfit                  // it does not: nothing keeps two writers apart
)

func (f Fitness) String() string { return [...]string{"unknown", "fit", "unfit"}[f] }

// Fitness returns what is known of the store.
func (f *Fence) Fitness() Fitness {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fitness
}

// Why says why the store is Unfit; "" where it is not.
func (f *Fence) Why() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.why
}

// judge records that the store is Unfit, and logs it once.
func (f *Fence) judge(why string) {
	f.mu.Lock()
	first := f.fitness != Unfit
	f.fitness, f.why = Unfit, why
	f.mu.Unlock()
	if first {
		f.log.Warn("the store does not keep to conditional writes, so nothing keeps two servers on it apart: give each a prefix of its own, or take a store that has them, see docs/bucket.md", "why", why)
	}
}

// neverETag is the MD5 of nothing, which is no object of a probe.
const neverETag = "d41d8cd98f00b204e9800998ecf8427e"

// Probe finds out whether the store keeps to conditions, with some requests about an object under key, which it removes. The error means
// that it could not be found out.
func (f *Fence) Probe(ctx context.Context, key string) error {
	put := func(a storage.Attributes) (string, error) {
		a.ContentType, a.CacheControl = "text/plain", "no-store"
		return f.store.Put(ctx, key, strings.NewReader("May this store's objects be replaced on conditions? "+rand.Text()+"\n"), a)
	}
	if r, ok := storage.As[storage.Remover](f.store); ok {
		defer r.Remove(ctx, key) // what stays does no harm, and is written over the next time
	}
	etag, err := put(storage.Attributes{})
	if err != nil {
		return err
	}
	if etag == "" {
		f.judge("it states no ETag")
		return nil
	}
	for _, c := range []struct {
		name string
		a    storage.Attributes
		want error
	}{
		{"If-None-Match: *", storage.Attributes{IfAbsent: true}, storage.ErrExists},
		{"If-Match with another ETag", storage.Attributes{IfMatch: neverETag}, storage.ErrChanged},
		{"If-Match with its ETag", storage.Attributes{IfMatch: etag}, nil},
	} {
		_, err := put(c.a)
		switch kind := storage.KindOf(err); {
		case errors.Is(err, errors.ErrUnsupported), kind == storage.Permanent: // the same without a condition was done
			f.judge(err.Error())
			return nil
		case err != nil && kind != storage.Exists && kind != storage.Changed:
			return fmt.Errorf("%s: %w", c.name, err)
		case c.want == nil && err != nil:
			f.judge(c.name + " replaces nothing")
			return nil
		case !errors.Is(err, c.want):
			f.judge(c.name + " does not keep it from replacing an object")
			return nil
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fitness == Unknown {
		f.fitness = Fit
	}
	return nil
}
