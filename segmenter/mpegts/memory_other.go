//go:build !linux || race

package mpegts

// newRegion takes the heap's memory: other systems have ways of their own, and the race detector sees nothing else.
func newRegion(size int) *region { return &region{make([]byte, size)} }

func cool([]byte, int) bool { return false }
