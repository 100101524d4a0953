//go:build linux && !race

package mpegts

import (
	"os"
	"runtime"
	"syscall"
)

// newRegion asks the system for address space; it costs memory as far as it is written. It goes back when nothing of the
// region is referred to any more.
func newRegion(size int) *region {
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return &region{make([]byte, size)} // a limit of address space; the heap may have room yet
	}
	r := &region{b}
	runtime.AddCleanup(r, func(b []byte) { _ = syscall.Munmap(b) }, b)
	return r
}

// cool gives the memory behind b, the beginning of a block of size bytes, to the system; what b holds is lost, and b may be
// written again. False where that cannot be: the system takes whole pages, which hold other blocks where pages are large.
func cool(b []byte, size int) bool {
	return size%pageSize == 0 && syscall.Madvise(b, syscall.MADV_DONTNEED) == nil
}

var pageSize = os.Getpagesize()
