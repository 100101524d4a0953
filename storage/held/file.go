package held

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// Segment is what is kept of one.
type Segment struct {
	App    string    `json:"app"`
	Stream string    `json:"stream"` // to which it was sent
	Host   string    `json:"host"`   // the sender's
	User   string    `json:"user,omitempty"`
	File   string    `json:"file"` // its name among the sender's
	At     time.Time `json:"at"`   // when it came
	Size   int64     `json:"bytes"`
	CRC32C uint32    `json:"crc32c"`
	Body   []byte    `json:"-"`
}

const (
	magic     = "hlsorigin held 1\n"
	suffix    = ".held"
	maxHead   = 16 << 10 // bytes
	dirName   = ".held"
	nameForm  = "%016x" + suffix
	nameChars = 16
)

// errLater means that another version wrote the file, errDamaged that it is not as it was written: a crash leaves half of one.
var (
	errLater   = errors.New("another version wrote this file")
	errDamaged = errors.New("the file is not as it was written")
)

// head is what stands in a file before the bytes.
func (s *Segment) head() ([]byte, error) {
	line, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return append(append([]byte(magic), line...), '\n'), nil
}

// write makes a file of a segment. After an error nothing of it is left, as far as the disk lets it go.
func (b *Box) write(name string, s *Segment) (err error) {
	head, err := s.head()
	if err != nil {
		return err
	}
	f, err := regular.OpenPlain(b.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(b.dir(), 0o750)
		if err == nil && b.o.Sync {
			err = regular.SyncDir(b.o.Dir)
		}
		if err == nil {
			f, err = regular.OpenPlain(b.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		}
	}
	if err != nil {
		return err
	}
	for _, p := range [][]byte{head, s.Body} {
		if err == nil {
			err = b.o.Write(f, p)
		}
	}
	if err == nil && b.o.Sync {
		err = b.o.Fsync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(b.path(name)) // the first error is the one that matters
		return err
	}
	if b.o.Sync {
		return regular.SyncDir(b.dir())
	}
	return nil
}

// read reads a file: all of it, or, where fn does not want that, its head.
func (b *Box) read(name string, fn func(*Segment) (body bool)) (s Segment, err error) {
	f, err := regular.OpenPlain(b.path(name), os.O_RDONLY)
	if err != nil {
		return s, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return s, err
	}
	in := bufio.NewReaderSize(f, maxHead)
	first, err := in.ReadSlice('\n')
	switch {
	case err == nil && string(first) == magic:
	case err == nil && bytes.HasPrefix(first, []byte("hlsorigin held ")):
		return s, errLater
	default:
		return s, errDamaged
	}
	at := int64(len(first))
	line, err := in.ReadSlice('\n')
	if err != nil || json.Unmarshal(line, &s) != nil {
		return s, errDamaged
	}
	if at += int64(len(line)); s.Size < 0 || info.Size() != at+s.Size {
		return s, errDamaged
	}
	if !fn(&s) {
		return s, nil
	}
	s.Body = make([]byte, s.Size)
	if _, err := io.ReadFull(in, s.Body); err != nil {
		return s, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if crc32.Checksum(s.Body, crc32.MakeTable(crc32.Castagnoli)) != s.CRC32C {
		return s, errDamaged
	}
	return s, nil
}

// number is that of a file's name; false: it is none of ours.
func number(name string) (n uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != nameChars {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	return n, err == nil && fmt.Sprintf(nameForm, n) == name
}
