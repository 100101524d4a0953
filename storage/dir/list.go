package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hlsorigin/hlsorigin/storage"
)

// List walks directories, each only when its turn comes.
func (s *Store) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	return s.walk(ctx, folderOf(prefix), prefix, true, fn)
}

// folderOf is the folder that all keys with a prefix are in, "" or with a slash at its end.
func folderOf(prefix string) string { return prefix[:strings.LastIndexByte(prefix, '/')+1] }

// Browse reads one directory.
func (s *Store) Browse(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	return s.walk(ctx, folderOf(prefix), prefix, false, fn)
}

// walk reports what is under folder, which is "" or ends with a slash, and begins with prefix.
func (s *Store) walk(ctx context.Context, folder, prefix string, deep bool, fn func(storage.Object) error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("list %s: %w", prefix, context.Cause(ctx))
	}
	name := "."
	if folder != "" {
		if name = strings.TrimSuffix(folder, "/"); folder != storage.Shared && checkKey(name) != nil {
			return nil // no key looks like that
		}
	}
	var entries []fs.DirEntry
	dir, err := s.folder(name)
	if err == nil {
		defer dir.Close()
		entries, err = fs.ReadDir(dir.FS(), ".")
	}
	if errors.Is(kind(err), fs.ErrNotExist) {
		return nil // a key's directory is a real one, not a link
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", prefix, kind(err))
	}
	// A directory sorts by its name with the slash, as its keys do: "a-1" comes before "a/1", and both before "a0".
	sortKey := func(e fs.DirEntry) string {
		if e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortKey(a), sortKey(b)) })
	for _, e := range entries {
		if ctx.Err() != nil {
			return fmt.Errorf("list %s: %w", prefix, context.Cause(ctx))
		}
		key := folder + sortKey(e)
		switch {
		case e.Name()[0] == '.' && key != storage.Shared || key != storage.Shared && checkKey(path.Clean(key)) != nil:
		case e.IsDir() && !deep:
			if strings.HasPrefix(key, prefix) {
				err = fn(storage.Object{Key: key})
			}
		case e.IsDir():
			if strings.HasPrefix(key, prefix) || strings.HasPrefix(prefix, key) {
				err = s.walk(ctx, key, prefix, deep, fn)
			}
		case e.Type().IsRegular() && strings.HasPrefix(key, prefix):
			fi, infoErr := e.Info()
			if infoErr != nil {
				continue // removed meanwhile
			}
			o := object(key, fi)
			err = fn(o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
