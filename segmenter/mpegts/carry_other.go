//go:build !amd64

package mpegts

func carry(to, from *[PayloadSize]byte) bool { return carryWords(to, from) }
