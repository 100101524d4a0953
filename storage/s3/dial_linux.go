package s3

import (
	"net"
	"syscall"
	"unsafe"
)

// tcpNotSentLowAt is TCP_NOTSENT_LOWAT (tcp(7)), which package syscall does not name.
const tcpNotSentLowAt = 25

func limitUnsent(c syscall.RawConn, bytes int) {
	_ = c.Control(func(fd uintptr) {
		// An old kernel without it is slower to notice a stall, nothing worse.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowAt, bytes)
	})
}

// unacknowledged is how many bytes the kernel has that the other end has not confirmed (SIOCOUTQ, tcp(7)); 0 where it does not
// say.
func unacknowledged(c net.Conn) int {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0
	}
	var n int32
	_ = raw.Control(func(fd uintptr) {
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n))); e != 0 {
			n = 0
		}
	})
	return int(n)
}
