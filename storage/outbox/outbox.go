// Package outbox keeps small records in one file on local disk, in order, so that a process that died before it was done with them finds
// them at its next start. It refuses to know what the records say, which of them are still needed, and when to rewrite the file: its owner
// decides. It starts no goroutine: its callers wait for the disk.
package outbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// MaxFile is the largest file that is read at start, in bytes. Anything beyond is not read.
const MaxFile = 256 << 20

// Options of a Box.
type Options struct {
	Path string // of the file; its folder is created if missing
	Sync bool   // every Append survives a crash of the machine, not only of the process, once it has returned
}

// Box is an open file. Its methods must be called by one goroutine at a time.
type Box struct {
	o    Options
	file *os.File // nil after Close
	end  int64    // of the good part
}

// Found is what Open found in the file.
type Found struct {
	Records [][]byte // in the order of their Append
	// Damaged is the number of lines that could not be read: one torn by a crash, at the end, or more if the disk is failing.
	Damaged int
}

// tempSuffix is the suffix of a file that is being rewritten.
const tempSuffix = ".tmp"

// Open opens the file, or creates an empty one, and reads its content. Damaged lines are skipped and the others returned. A file of a later
// version is an error, and left as it is.
func Open(o Options) (*Box, Found, error) {
	fail := func(err error) (*Box, Found, error) { return nil, Found{}, fmt.Errorf("outbox: %w", err) }
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o750); err != nil {
		return fail(err)
	}
	if err := os.Remove(o.Path + tempSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	f, err := regular.OpenPlain(o.Path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return fail(err)
	}
	if o.Sync {
		if err := regular.SyncDir(filepath.Dir(o.Path)); err != nil { // the file may be new
			return fail(errors.Join(err, f.Close()))
		}
	}
	b := &Box{o: o, file: f}
	found, end, err := readAll(io.LimitReader(f, MaxFile))
	if err != nil {
		return fail(errors.Join(err, f.Close()))
	}
	if err := f.Truncate(end); err != nil { // the rest of a longer line would be damage after the next one
		return fail(errors.Join(err, f.Close()))
	}
	b.end = end
	return b, found, nil
}

// Size returns the file's length in bytes.
func (b *Box) Size() int64 { return b.end }

// Append appends records. If it fails, some of them may be in the file nevertheless: Rewrite must be called next.
func (b *Box) Append(records ...[]byte) error {
	if len(records) == 0 {
		return nil
	}
	if b.file == nil {
		return fmt.Errorf("outbox: append: %w", fs.ErrClosed)
	}
	if gone, err := b.gone(); err != nil || gone {
		return errors.Join(fmt.Errorf("outbox: append: %s was taken away", b.o.Path), err)
	}
	var buf []byte
	if b.end == 0 {
		buf = append(buf, magic...)
	}
	for _, r := range records {
		buf = appendLine(buf, r)
	}
	if _, err := b.file.WriteAt(buf, b.end); err != nil {
		return fmt.Errorf("outbox: append: %w", err)
	}
	if b.o.Sync {
		if err := b.file.Sync(); err != nil {
			return fmt.Errorf("outbox: append: %w", err)
		}
	}
	b.end += int64(len(buf))
	return nil
}

// gone reports whether the open file no longer has its name.
func (b *Box) gone() (bool, error) {
	ours, err := b.file.Stat()
	if err != nil {
		return true, err
	}
	named, err := os.Stat(b.o.Path)
	if err != nil {
		return true, err
	}
	return !os.SameFile(ours, named), nil
}

// Rewrite atomically replaces the file by one with just these records: a crash leaves the old one or the new one.
func (b *Box) Rewrite(records [][]byte) (err error) {
	buf := []byte(magic)
	for _, r := range records {
		buf = appendLine(buf, r)
	}
	temp := b.o.Path + tempSuffix
	defer func() {
		if err != nil {
			err = fmt.Errorf("outbox: rewrite: %w", err)
		}
	}()
	if err := os.MkdirAll(filepath.Dir(b.o.Path), 0o750); err != nil {
		return err
	}
	f, err := regular.OpenPlain(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(buf, 0)
	if err == nil {
		// Even without Sync: if the rename reached the disk before the bytes, neither file would be left.
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(temp, b.o.Path)
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(temp) // the first error is the one that matters
		return err
	}
	if b.file != nil {
		_ = b.file.Close() // replaced
	}
	b.file, b.end = f, int64(len(buf))
	if b.o.Sync {
		return regular.SyncDir(filepath.Dir(b.o.Path)) // otherwise what is appended from now on could be lost with the new name
	}
	return nil
}

// Close makes what was written durable and closes the file.
func (b *Box) Close() error {
	if b.file == nil {
		return nil
	}
	err := errors.Join(b.file.Sync(), b.file.Close())
	b.file = nil
	return err
}
