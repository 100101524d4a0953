// Package dir is an object store in a directory: every object is a plain file at its key's path, to be opened with a file manager, a player
// or any web server. It is the default if no bucket is configured. It refuses to leave its directory, by key or by symbolic link, to show
// half a file, and to keep anything in memory.
//
// On disk there are also ".tmp", with files being written, ".attributes", with those of an object's attributes that do not follow from its
// extension (see attributes), and ".locks", with empty files that a conditional Put locks. All may be deleted while nobody writes. Two
// keys may be names of one file, see storage.Attributes.CopyOf.
package dir

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// Options of a directory.
type Options struct {
	Path string // created if missing
	// NoFsync leaves it to the operating system when bytes reach the disk. A power failure may then lose an object that was confirmed.
	// Default: a Put returns when file and directory are on the disk.
	NoFsync bool
}

// Store is an open directory. It is safe for concurrent use, also by several processes.
type Store struct {
	root  *os.Root
	o     Options
	sweep sync.Once
	pool  sync.Pool // *[copyBuffer]byte
	seed  maphash.Seed
	locks [64]sync.Mutex // by key: an object and its attributes change together
}

var (
	_ storage.Store   = (*Store)(nil)
	_ storage.Browser = (*Store)(nil)
)

// Open opens the directory, and creates it if it is missing. Close closes it.
func Open(o Options) (*Store, error) {
	if err := os.MkdirAll(o.Path, 0o777); err != nil {
		return nil, notOpen(err)
	}
	root, err := os.OpenRoot(o.Path)
	if err != nil {
		return nil, notOpen(err)
	}
	return &Store{root: root, o: o, seed: maphash.MakeSeed()}, nil
}

// notOpen returns why a directory cannot be opened. It never says that an object is missing: the content of the directory is unknown.
func notOpen(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("storage directory: %w (%w): a file has this name or that of a directory above: correct storage.url", err, storage.ErrPermanent)
	}
	if k := kind(err); !errors.Is(k, fs.ErrNotExist) {
		return fmt.Errorf("storage directory: %w", k)
	}
	return fmt.Errorf("storage directory: %s", err)
}

// Close closes the directory. Objects being read stay readable.
func (s *Store) Close() error { return s.root.Close() }

// Get opens a file. Anything but a regular file does not exist.
func (s *Store) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	if off < 0 {
		return nil, storage.Object{}, fmt.Errorf("get %s: offset %d is negative", key, off)
	}
	f, o, err := s.OpenFile(ctx, key)
	if err != nil {
		return nil, o, err
	}
	if off >= o.Size || n == 0 {
		f.Close()
		return http.NoBody, o, nil
	}
	if n < 0 || n > o.Size-off {
		n = o.Size - off
	}
	return &body{ctx: ctx, File: f, r: io.NewSectionReader(f, off, n)}, o, nil
}

// OpenFile is Get of the whole object for callers that can use a file: to seek in it, or to have the kernel send it.
func (s *Store) OpenFile(ctx context.Context, key string) (*os.File, storage.Object, error) {
	f, o, err := s.open(ctx, key)
	if err != nil {
		return nil, o, fmt.Errorf("get %s: %w", key, err)
	}
	return f, o, nil
}

type body struct {
	ctx context.Context
	*os.File
	r *io.SectionReader
}

func (b *body) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	return b.r.Read(p)
}

// Stat describes an object. Its ETag changes whenever the file does; see etagOf.
func (s *Store) Stat(ctx context.Context, key string) (storage.Object, error) {
	f, o, err := s.open(ctx, key)
	if err != nil {
		return storage.Object{}, fmt.Errorf("stat %s: %w", key, err)
	}
	f.Close()
	return o, nil
}

func (s *Store) open(ctx context.Context, key string) (*os.File, storage.Object, error) {
	if ctx.Err() != nil {
		return nil, storage.Object{}, context.Cause(ctx)
	}
	if err := checkKey(key); err != nil {
		return nil, storage.Object{}, err
	}
	dir, err := s.folder(path.Dir(key))
	if err != nil {
		return nil, storage.Object{}, kind(err)
	}
	defer dir.Close()
	f, fi, etag, err := find(dir, key)
	if err != nil {
		return nil, storage.Object{}, err
	}
	o := object(key, fi)
	o.ETag = etag
	s.readAttributes(key, fi, &o)
	return f, o, nil
}

// find opens the file of a key in its folder, and tells its ETag.
func find(folder *os.Root, key string) (f *os.File, fi fs.FileInfo, etag string, err error) {
	f, err = regular.OpenIn(folder, path.Base(key), os.O_RDONLY)
	if errors.Is(err, regular.ErrNotFile) {
		err = errMissing
	}
	if err != nil {
		return nil, nil, "", kind(err)
	}
	if fi, err = f.Stat(); err == nil {
		etag, err = etagOf(key, fi, io.NewSectionReader(f, 0, fi.Size()))
	}
	if err != nil {
		f.Close()
		return nil, nil, "", kind(err)
	}
	return f, fi, etag, nil
}

// object describes a file, all but its ETag and its attributes.
func object(key string, fi fs.FileInfo) storage.Object {
	return storage.Object{Key: key, Size: fi.Size(), Modified: fi.ModTime()}
}

// Remove deletes files, and directories that become empty.
func (s *Store) Remove(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if ctx.Err() != nil {
			return fmt.Errorf("remove %s: %w", key, context.Cause(ctx))
		}
		if err := s.remove(key); err != nil {
			return fmt.Errorf("remove %s: %w", key, err)
		}
	}
	return nil
}

func (s *Store) remove(key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	defer s.lock(key)()
	fi, err := s.root.Lstat(filepath.FromSlash(key))
	if err == nil && !fi.Mode().IsRegular() {
		return nil // a directory or a link is not an object
	}
	if err == nil {
		dir, err := s.folder(path.Dir(key))
		if err != nil {
			return fmt.Errorf("%v: no object lies behind it, and nothing of it is removed (%w)", err, storage.ErrPermanent)
		}
		dir.Close()
	}
	if err == nil {
		err = s.root.Remove(filepath.FromSlash(key))
	}
	if err != nil && !errors.Is(kind(err), fs.ErrNotExist) {
		return kind(err)
	}
	s.removeAttributes(key)
	s.prune(path.Dir(key))
	return nil
}

// folder is regular.Folder for part of a key.
func (s *Store) folder(name string) (*os.Root, error) {
	return regular.Folder(s.root, filepath.FromSlash(name))
}

// prune removes directories from dir upwards until one is not empty, or not a directory.
func (s *Store) prune(dir string) {
	for dir != "." && s.isDir(filepath.FromSlash(dir)) && s.root.Remove(filepath.FromSlash(dir)) == nil {
		dir = path.Dir(dir)
	}
}

func (s *Store) lock(key string) (unlock func()) {
	m := &s.locks[maphash.String(s.seed, key)%uint64(len(s.locks))]
	m.Lock()
	return m.Unlock
}

// Bounds on keys, those of common file systems.
const (
	maxKey     = 1024
	maxElement = 255
)

// checkKey refuses what is not a plain relative path. Names that begin with a dot are reserved for the store, but for that of
// storage.Shared.
func checkKey(key string) error {
	if len(key) > maxKey || !fs.ValidPath(key) || key == "." || !filepath.IsLocal(filepath.FromSlash(key)) {
		return fmt.Errorf("key %.64q is no relative path: %w", key, storage.ErrPermanent)
	}
	for element := range strings.SplitSeq(strings.TrimPrefix(key, storage.Shared), "/") {
		if element[0] == '.' || len(element) > maxElement {
			return fmt.Errorf("key %.64q has an element that begins with a dot or is over %d bytes: %w", key, maxElement, storage.ErrPermanent)
		}
	}
	for i := 0; i < len(key); i++ {
		if key[i] < ' ' || key[i] == '\\' || key[i] == 0x7f {
			return fmt.Errorf("key %.64q has a control character or backslash: %w", key, storage.ErrPermanent)
		}
	}
	return nil
}

// errMissing is fs.ErrNotExist for something that exists but is not an object.
var errMissing = fmt.Errorf("no such object: %w", fs.ErrNotExist)

// kind maps an error of the file system to the kinds of package storage.
func kind(err error) error {
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return err
	case errors.Is(err, syscall.ENOTDIR): // a key under another key
		return errMissing
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w (%w): allow this user to write there, or correct storage.url", err, storage.ErrPermanent)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w (%w): free some room on the disk", err, storage.ErrPermanent)
	case errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%w (%w): let this user write larger files (ulimit -f), or take a file system that has them", err, storage.ErrPermanent)
	}
	return err
}
