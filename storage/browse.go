package storage

import (
	"context"
	"strings"
)

// Browse lists one level of the key space: the objects and the folders in it whose keys begin with prefix and have no slash beyond it, the
// folders as Objects whose Key ends with a slash. If neither l nor what it decorates is a Browser, it also walks everything deeper.
func Browse(ctx context.Context, l Lister, prefix string, fn func(Object) error) error {
	if b, ok := As[Browser](l); ok {
		return b.Browse(ctx, prefix, fn)
	}
	last := ""
	return l.List(ctx, prefix, func(o Object) error {
		name, _, nested := strings.Cut(o.Key[len(prefix):], "/")
		if !nested {
			return fn(o)
		}
		folder := prefix + name + "/"
		if folder == last {
			return nil
		}
		last = folder
		return fn(Object{Key: folder})
	})
}
