package s3

import "syscall"

// tcpNotSentLowAt is TCP_NOTSENT_LOWAT (tcp(7)), which package syscall does not name.
const tcpNotSentLowAt = 25

func limitUnsent(c syscall.RawConn, bytes int) {
	_ = c.Control(func(fd uintptr) {
		// An old kernel without it is slower to notice a stall, nothing worse.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowAt, bytes)
	})
}
