//go:build unix

package dir

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/regular"
)

const (
	// locksDir holds the files that are locked. They are empty and stay; the lock is on the open file, and ends with its process.
	locksDir = ".locks"
	// lockFiles is how many there are: a key has always the same.
	lockFiles = 64
	// lockPoll is how often a lock that another process has is tried, and lockPatience for how long: one that is stopped keeps it.
	lockPoll     = 2 * time.Millisecond
	lockPatience = 10 * time.Second
)

// errBusy means that another process keeps a lock. Trying again may help.
var errBusy = errors.New("another process has locked this object for writing, and keeps it: look whether it is stopped")

// exclude keeps conditional Puts of other processes away from a key until unlock is called. The error is errors.ErrUnsupported on a file
// system that knows no such locks.
func (s *Store) exclude(ctx context.Context, key string) (unlock func(), err error) {
	name := filepath.Join(locksDir, fmt.Sprintf("%02x", crc32.ChecksumIEEE([]byte(key))%lockFiles))
	f, err := regular.OpenIn(s.root, name, os.O_CREATE|os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.root.Mkdir(locksDir, 0o777); err == nil || errors.Is(err, fs.ErrExist) {
			f, err = regular.OpenIn(s.root, name, os.O_CREATE|os.O_RDWR)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := flock(ctx, f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return func() { f.Close() }, nil
}

// flock waits for the lock of an open file, until ctx ends and no longer than lockPatience.
func flock(ctx context.Context, f *os.File) error {
	patience := time.NewTimer(lockPatience)
	defer patience.Stop()
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.ENOLCK), errors.Is(err, errors.ErrUnsupported):
			return fmt.Errorf("%w: the file system has no locks: %v", errors.ErrUnsupported, err)
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return err
		}
		select {
		case <-poll.C:
		case <-patience.C:
			return errBusy
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
