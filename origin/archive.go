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

// open opens an archive object for the response, or answers in its place and says false. The response gives the token
// of the gate back when it is closed.
func (o *Origin) open(ctx context.Context, res *response, key, missing string) bool {
	obj, err := o.openGated(ctx, key)
	if err != nil {
		o.archiveFailed(ctx, res, key, missing, err)
		return false
	}
	res.object, res.gate = obj, o.gate
	return true
}

// openGated opens an object with one token of the gate, which the caller gives back after closing it.
func (o *Origin) openGated(ctx context.Context, key string) (Object, error) {
	if o.opts.Archive == nil {
		return Object{}, errNoArchive
	}
	select {
	case o.gate <- struct{}{}:
	default:
		o.stats.Overloads.Add(1)
		return Object{}, errOverload
	}
	obj, err := o.opts.Archive.Open(ctx, key)
	if err != nil {
		<-o.gate
	}
	return obj, err
}
