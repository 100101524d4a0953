//go:build unix

package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// ErrLocked means that another process uses the directory.
var ErrLocked = errors.New("another process works in this spool")

// lockFile is empty; the lock is on it, not in it, and ends with the process, however that ends.
const lockFile = ".lock"

// Lock keeps other processes out of the directory, which it creates if necessary, until the returned function is called. Two writers in one
// spool would give one name two contents.
func Lock(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("lock spool: %w", err)
	}
	f, err := regular.OpenPlain(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("lock spool: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, errors.Join(fmt.Errorf("lock spool: %w", err), f.Close())
	}
	return f.Close, nil
}
