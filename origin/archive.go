package origin

import (
	"context"
	"errors"
	"io/fs"
)

// errNoArchive is the answer of an archive that there is not.
var errNoArchive error = &fs.PathError{Op: "open", Path: "archive", Err: fs.ErrNotExist}

// ErrOverload says that there is no room for another reader of the archive now: 503. An Archive that has a bound of its own
// wraps it.
var ErrOverload = errors.New("too many readers of the archive")

// open opens an object, unless too many others are being opened.
func (o *Origin) open(ctx context.Context, key string) (Object, error) {
	if o.opts.Archive == nil {
		return Object{}, errNoArchive
	}
	if !o.gate.enter(key) {
		o.stats.Overloads.Add(1)
		return Object{}, ErrOverload
	}
	defer o.gate.leave(key)
	return o.opts.Archive.Open(ctx, key)
}
