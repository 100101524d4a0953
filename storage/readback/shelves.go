package readback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// Shelves are where an object is looked for when memory does not have it: the spool first, then the bucket. Either may be nil.
type Shelves struct {
	Spool *spool.Spool
	Cache *Cache
	Names *Finder // knows what the bucket cannot have; nil: it is asked for everything
	// Own reports whether what the spool has under a key is what the bucket has, or will have: where several servers share the bucket, another
	// may have gone on with the recording, and have used the number. Nil: it always is.
	Own func(key string) bool
}

// Object is an object that Shelves opened. Who opened it closes Body, which is an *os.File where it came from the spool.
type Object struct {
	storage.Object
	Body io.ReadSeekCloser
}

// Open opens an object by its key. Its error is fs.ErrNotExist where no shelf has it. A disk that fails is no reason not to ask
// the bucket; what the bucket does not have either is not missing then, and the error is the disk's.
func (s Shelves) Open(ctx context.Context, key string) (Object, error) {
	var missing error = fs.ErrNotExist
	if s.Spool != nil && (s.Own == nil || s.Own(key)) {
		f, size, err := s.Spool.Open(key)
		if err == nil {
			o := Object{Object: storage.Object{Key: key, Size: size}, Body: f}
			if info, err := f.Stat(); err == nil {
				o.Modified = info.ModTime()
			}
			return o, nil
		}
		missing = err
	}
	if s.Cache == nil || s.Names != nil && !s.Names.Holds(ctx, key) {
		return Object{}, fmt.Errorf("open %s: %w", key, missing)
	}
	c, err := s.Cache.Open(ctx, key)
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(missing, fs.ErrNotExist) {
		return Object{}, fmt.Errorf("open %s: %w", key, missing)
	}
	if err != nil {
		return Object{}, err
	}
	return Object{Object: c.Object, Body: c}, nil
}
