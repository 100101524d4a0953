package origin

import (
	"context"
	"errors"
	"io/fs"
)

// The two reasons why the archive is not even asked.
var (
	errNoArchive error = &fs.PathError{Op: "open", Path: "archive", Err: fs.ErrNotExist}
	errOverload        = errors.New("too many readers of the archive")
)

// open opens an object, unless too many others are being opened.
func (o *Origin) open(ctx context.Context, key string) (Object, error) {
	if o.opts.Archive == nil {
		return Object{}, errNoArchive
	}
	if !o.gate.enter(key) {
		o.stats.Overloads.Add(1)
		return Object{}, errOverload
	}
	defer o.gate.leave(key)
	return o.opts.Archive.Open(ctx, key)
}
