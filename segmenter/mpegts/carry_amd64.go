package mpegts

// carry is carryWords with the vectors of SSE2, which every such processor has: it takes hardly longer than copying alone.
//
//go:noescape
func carry(to, from *[PayloadSize]byte) bool
