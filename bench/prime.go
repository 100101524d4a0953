//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// primeBytes is how much memory is used once before anything is measured.
const primeBytes = 6 << 30

// prime fills the directory of the servers' files, and empties it again. On a virtual machine, memory that was never used has
// to be brought by the host at its first use, which costs several times the writing: without this the first system to run
// pays for all.
func prime(dir string) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("prime: %w", err)
	}
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return fmt.Errorf("prime: %w", err)
	}
	size := min(uint64(primeBytes), fs.Bavail*uint64(fs.Bsize)/2, uint64(info.Freeram)*uint64(info.Unit)/2)
	path := filepath.Join(dir, "prime")
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("prime: %w", err)
	}
	defer func() { _ = os.Remove(path) }()
	b := make([]byte, 1<<20)
	for n := uint64(0); n+uint64(len(b)) <= size && err == nil; n += uint64(len(b)) {
		_, err = f.Write(b)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("prime: %w", err)
	}
	return nil
}
