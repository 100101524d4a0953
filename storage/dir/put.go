package dir

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/regular"
)

const (
	tempDir = ".tmp"
	// leftoverAge is how much older than a file written now a file in .tmp must be to count as abandoned.
	leftoverAge = time.Hour
	copyBuffer  = 256 << 10
)

// Put writes a temporary file apart from all objects and renames it when it is complete. Leftovers of a crash are invisible, and are
// removed at the first Put of a later start.
func (s *Store) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	etag, err := s.put(ctx, key, body, a)
	if err != nil {
		return "", fmt.Errorf("put %s: %w", key, err)
	}
	return etag, nil
}

func (s *Store) put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	var (
		temp string
		fi   fs.FileInfo
		err  error
	)
	if a.CopyOf != "" {
		temp, fi = s.linkTemp(a.CopyOf, body)
	}
	if temp == "" {
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return "", fmt.Errorf("read body: %w", err)
		}
		temp, fi, err = s.writeTemp(ctx, body)
	}
	defer func() {
		if temp != "" {
			_ = s.root.Remove(temp) // a later start tries again
		}
	}()
	if err != nil {
		return "", kind(err)
	}
	if a.IfMatch != "" {
		unlock, err := s.exclude(ctx, key)
		if err != nil {
			return "", kind(err)
		}
		defer unlock()
	}
	defer s.lock(key)()
	var dir *os.Root
	if a.IfMatch != "" {
		switch dir, err = s.folder(path.Dir(key)); {
		case errors.Is(kind(err), fs.ErrNotExist):
			return "", fmt.Errorf("%w: there is none", storage.ErrChanged)
		case err != nil:
			return "", kind(err)
		}
		if etag, there, err := s.match(dir, key, body, a.IfMatch); there || err != nil {
			return etag, errors.Join(kind(err), dir.Close())
		}
	}
	etag, err := s.commit(dir, temp, fi, key, a, body)
	if err == nil && !a.IfAbsent && a.CopyOf == "" {
		temp = "" // it was renamed; nothing is where both are names of one file
	}
	return etag, kind(err)
}

// match returns nil if the object under the key has that ETag. If it has the body's content instead, there is set, and its ETag returned.
func (s *Store) match(dir *os.Root, key string, body io.ReadSeeker, want string) (etag string, there bool, err error) {
	f, _, etag, err := find(dir, key)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("%w: there is none", storage.ErrChanged)
	}
	if err != nil {
		return "", false, err
	}
	f.Close()
	if etag == want {
		return "", false, nil
	}
	etag, err = s.compare(key, body)
	if errors.Is(err, storage.ErrExists) {
		err = storage.ErrChanged
	}
	return etag, err == nil, err
}

// Time implements storage.Timekeeper: it is the date that the file system gives a file written now. On a network share that is the server's
// clock, not this machine's.
func (s *Store) Time(ctx context.Context) (time.Time, error) {
	temp, fi, err := s.writeTemp(ctx, bytes.NewReader(nil))
	if temp != "" {
		defer s.root.Remove(temp)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("time: %w", kind(err))
	}
	return fi.ModTime(), nil
}

// linkTemp gives the file of another key a second name if it has the content of body: that is one inode and one block less than a file of its
// own, and ext4 writes a new file to the disk when it replaces another. No file is ever changed, only replaced. The name is empty where that
// cannot be done.
func (s *Store) linkTemp(key string, body io.ReadSeeker) (name string, fi fs.FileInfo) {
	if checkKey(key) != nil {
		return "", nil
	}
	name = filepath.Join(tempDir, rand.Text())
	if s.root.Link(filepath.FromSlash(key), name) != nil {
		return "", nil
	}
	f, err := regular.OpenIn(s.root, name, os.O_RDONLY)
	if err == nil {
		defer f.Close()
		if fi, err = f.Stat(); err == nil && same(f, body) == nil {
			return name, fi
		}
	}
	_ = s.root.Remove(name) // a later start tries again
	return "", nil
}

// writeTemp returns the name if a file was created, even with an error.
func (s *Store) writeTemp(ctx context.Context, body io.Reader) (string, fs.FileInfo, error) {
	name := filepath.Join(tempDir, rand.Text())
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.root.Mkdir(tempDir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", nil, err
		}
		f, err = s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	}
	if err != nil {
		return "", nil, err
	}
	s.sweep.Do(func() { s.sweepTemp(f) })
	buf, ok := s.pool.Get().(*[copyBuffer]byte)
	if !ok {
		buf = new([copyBuffer]byte)
	}
	_, err = io.CopyBuffer(onlyWriter{f}, &contextReader{ctx, body}, buf[:])
	s.pool.Put(buf)
	if err == nil && !s.o.NoFsync {
		err = f.Sync()
	}
	fi, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return name, fi, err
}

// onlyWriter hides that a file could read from the body itself, with a buffer of its own choice.
type onlyWriter struct{ io.Writer }

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

// commit gives the finished file its name. A directory on the way may vanish meanwhile, because another key in it was removed: then it is
// made again. It closes dir, the key's folder; nil: that is not open.
func (s *Store) commit(dir *os.Root, temp string, fi fs.FileInfo, key string, a storage.Attributes, body io.ReadSeeker) (etag string, err error) {
	name, folder := filepath.FromSlash(key), path.Dir(key)
	for range 16 {
		if dir == nil {
			dir, err = s.makeFolder(folder)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		defer dir.Close()
		if a.IfAbsent {
			err = s.root.Link(temp, name)
			if errors.Is(err, fs.ErrExist) {
				return s.compare(key, body)
			}
			if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EMLINK) {
				err = s.renameIfAbsent(temp, name) // for a file system without hard links
				if errors.Is(err, fs.ErrExist) {
					return s.compare(key, body)
				}
			}
		} else if fi, e := dir.Lstat(path.Base(key)); e == nil && fi.Mode().Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 {
			return "", fmt.Errorf("%s has the name of this key, and is not replaced: %w", regular.What(fi.Mode()), storage.ErrPermanent)
		} else {
			err = s.root.Rename(temp, name)
		}
		switch {
		case errors.Is(err, syscall.EISDIR), err != nil && s.isDir(name):
			return "", fmt.Errorf("objects lie under this key, in a directory of its name: %w", storage.ErrPermanent)
		case errors.Is(err, syscall.ENOTDIR):
			return "", fmt.Errorf("an object stands where this key needs a directory: %w", storage.ErrPermanent)
		case errors.Is(err, fs.ErrNotExist):
			dir = nil
			continue
		case err != nil:
			return "", err
		}
		if err := s.writeAttributes(key, fi, a); err != nil {
			return "", err
		}
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return "", fmt.Errorf("read body: %w", err)
		}
		if etag, err = etagOf(key, fi, body); err != nil {
			return "", fmt.Errorf("read body: %w", err)
		}
		return etag, s.syncDir(dir)
	}
	return "", fmt.Errorf("directory %s vanishes as often as it is made", folder)
}

// renameIfAbsent narrows the race between two processes but cannot close it; within this process the lock does.
func (s *Store) renameIfAbsent(temp, name string) error {
	if _, err := s.root.Lstat(name); err == nil {
		return fs.ErrExist
	}
	return s.root.Rename(temp, name)
}

// makeFolder opens a directory, and makes it with its parents if it is missing, each durable before its content.
func (s *Store) makeFolder(folder string) (*os.Root, error) {
	dir, err := s.folder(folder)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("something else stands where this key needs a directory: %v (%w)", err, storage.ErrPermanent)
	case err == nil || !errors.Is(err, fs.ErrNotExist) || folder == ".":
		return dir, err
	}
	parent, err := s.makeFolder(path.Dir(folder))
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err = parent.Mkdir(path.Base(folder), 0o777); err == nil {
		err = s.syncDir(parent)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return s.folder(folder)
}

func (s *Store) isDir(name string) bool {
	fi, err := s.root.Lstat(name)
	return err == nil && fi.IsDir()
}

func (s *Store) syncDir(dir *os.Root) error {
	if s.o.NoFsync {
		return nil
	}
	d, err := dir.Open(".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // pruned again: the object in it was removed
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// compare compares the object that exists with the body, and returns its ETag.
func (s *Store) compare(key string, body io.ReadSeeker) (etag string, err error) {
	f, o, err := s.open(context.Background(), key) // local and short
	if errors.Is(err, errMissing) {
		return "", fmt.Errorf("something that is no file has the name of this key: %w", storage.ErrPermanent)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	return o.ETag, same(f, body)
}

// same returns nil if a file has the content of body, and storage.ErrExists if it has another.
func same(f *os.File, body io.ReadSeeker) error {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	a, b := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		n, errA := io.ReadFull(f, a)
		m, errB := io.ReadFull(body, b)
		if !bytes.Equal(a[:n], b[:m]) {
			return storage.ErrExists
		}
		if errA != nil || errB != nil {
			for _, err := range []error{errA, errB} {
				if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
					return err
				}
			}
			return nil
		}
	}
}

// sweepTemp removes what earlier processes left half-written. The file system's own clock, read from the file that has just been made,
// decides what is old; another process may be writing right now.
func (s *Store) sweepTemp(now *os.File) {
	fi, err := now.Stat()
	if err != nil {
		return
	}
	entries, err := fs.ReadDir(s.root.FS(), tempDir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if old, err := e.Info(); err == nil && fi.ModTime().Sub(old.ModTime()) > leftoverAge {
			_ = s.root.Remove(filepath.Join(tempDir, e.Name())) // the next start tries again
		}
	}
}
