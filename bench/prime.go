//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	// primeBytes is how much memory is used once before anything is measured, if there is that much.
	primeBytes = 14 << 30
	// In each primeStride, one page stays in use.
	primeStride, primePage = 1 << 20, 4 << 10
)

// prime fills the directory of the servers' files, and releases nearly all of it again. On a virtual machine, memory that was never used
// must be provided by the host at its first use, which costs several times as much as the writing: without prime the first system would pay
// for all. A guest also reports large free blocks to its host, and the host takes them away again, so that every system would pay again:
// the pages that stay in use until release keep the free blocks small.
func prime(dir string) (release func(), err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return nil, fmt.Errorf("prime: %w", err)
	}
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return nil, fmt.Errorf("prime: %w", err)
	}
	size := int64(min(uint64(primeBytes), fs.Bavail*uint64(fs.Bsize)*2/3, uint64(info.Freeram)*uint64(info.Unit)*2/3))
	path := filepath.Join(dir, "prime")
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("prime: %w", err)
	}
	release = func() { _ = os.Remove(path) }
	b := make([]byte, primeStride)
	for n := int64(0); n+primeStride <= size && err == nil; n += primeStride {
		_, err = f.Write(b)
	}
	const keepSize, punchHole = 1, 2 // fallocate(2)
	for n := int64(0); n+primeStride <= size && err == nil; n += primeStride {
		err = syscall.Fallocate(int(f.Fd()), keepSize|punchHole, n+primePage, primeStride-primePage)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		release()
		return nil, fmt.Errorf("prime: %w", err)
	}
	return release, nil
}
