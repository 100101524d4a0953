// Package regular opens files that somebody else may have put there: regular files, and nothing that only has the name of one. It refuses
// pipes, devices, sockets and directories without waiting for any of them, and refuses to read more than it was told to.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Reasons for not opening or reading something; test with errors.Is.
var (
	ErrNotFile  = errors.New("it is no regular file")
	ErrTooLarge = errors.New("it is too large")
)

// notFile says what has a file's name.
type notFile struct{ mode fs.FileMode }

func (e notFile) Error() string        { return "it is " + What(e.mode) + ", no regular file" }
func (e notFile) Is(target error) bool { return target == ErrNotFile }

// What returns the name of a type of file, such as "a pipe".
func What(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "a file"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

// Open opens a regular file by its name, like os.OpenFile, and creates it if flag says so. The name, and every directory in it, may be a
// symbolic link: secrets are mounted that way. If it leads to anything else, the error is ErrNotFile.
func Open(name string, flag int) (*os.File, error) {
	info, err := os.Stat(name)
	return open(name, info, err, func() (*os.File, error) { return os.OpenFile(name, flag|syscall.O_NONBLOCK, Perm) })
}

// OpenPlain is Open for places where nobody has reason to make a link: if the name is one, the error is ErrNotFile. Directories may be
// links.
func OpenPlain(name string, flag int) (*os.File, error) {
	dir, err := os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	f, err := OpenIn(dir, filepath.Base(name), flag)
	var at *fs.PathError
	if errors.As(err, &at) {
		at.Path = name
	}
	return f, err
}

// OpenIn is OpenPlain beneath a root, which the name cannot leave. No directory in the name may be a link either.
func OpenIn(root *os.Root, name string, flag int) (*os.File, error) {
	if folder := filepath.Dir(name); folder != "." {
		dir, err := Folder(root, folder)
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		root, name = dir, filepath.Base(name)
	}
	info, err := root.Lstat(name)
	return open(name, info, err, func() (*os.File, error) { return root.OpenFile(name, flag|syscall.O_NONBLOCK, Perm) })
}

// Folder opens a directory beneath a root without a link in its path, for several operations in it: a Root opens every directory of a name
// again with each of them. The error is fs.ErrNotExist if something is missing, and syscall.ENOTDIR if something else is in its place.
func Folder(root *os.Root, name string) (*os.Root, error) {
	dir := root
	for at := 0; at <= len(name); {
		end := at
		for end < len(name) && !os.IsPathSeparator(name[end]) {
			end++
		}
		next, err := step(dir, name[at:end], name[:end])
		if dir != root {
			dir.Close()
		}
		if err != nil {
			return nil, err
		}
		dir, at = next, end+1
	}
	return dir, nil
}

// step opens a directory in another; path is what errors call it.
func step(dir *os.Root, element, path string) (*os.Root, error) {
	info, err := dir.Lstat(element)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("it is %s: %w", What(info.Mode()), syscall.ENOTDIR)}
	}
	return dir.OpenRoot(element)
}

// Perm is the permission of new files, before the umask.
const Perm = 0o640

// open checks what has the name before it opens it, since opening a pipe waits for its other end and opening a device may have effects, and
// checks again afterwards, since it may have been replaced.
func open(name string, info fs.FileInfo, err error, do func() (*os.File, error)) (*os.File, error) {
	if err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: notFile{info.Mode()}}
	}
	f, err := do()
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: notFile{info.Mode()}}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Read reads a whole file, opened as by Open, of at most that many bytes. If it is larger, the error is ErrTooLarge and nothing is read.
func Read(name string, most int64) ([]byte, error) {
	f, err := Open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	p, err := ReadAll(f, most)
	return p, errors.Join(err, f.Close())
}

// ReadAll reads an open file from its current position, at most that many bytes in total. If the file grows beyond that meanwhile, the
// error is ErrTooLarge as well.
func ReadAll(f *os.File, most int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() <= most {
		p := make([]byte, 0, info.Size()+1)
		for {
			n, err := f.Read(p[len(p):cap(p)])
			p = p[:len(p)+n]
			switch {
			case err == io.EOF:
				return p, nil
			case err != nil:
				return nil, err
			case int64(len(p)) > most:
				return nil, tooLarge(f.Name(), most)
			case len(p) == cap(p):
				p = append(p, 0)[:len(p)]
			}
		}
	}
	return nil, tooLarge(f.Name(), most)
}

func tooLarge(name string, most int64) error {
	return &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, most)}
}

// SyncDir makes the names in a directory durable. Some file systems cannot, and return EINVAL or ENOTSUP: then there is nothing to wait
// for.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
