package s3

import "syscall"

// tcpNotSentLowAt is TCP_NOTSENT_LOWAT (tcp(7)), which package syscall does not name.
const tcpNotSentLowAt = 25

// unsentBytes is over two seconds' worth at 50 kB/s, and far over a timer tick's worth at any speed.
const unsentBytes = 128 << 10

func limitUnsent(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// An old kernel without it is slower to notice a stall, nothing worse.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowAt, unsentBytes)
	})
}
