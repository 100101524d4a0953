package s3

import (
	"net"
	"syscall"
	"unsafe"
)

// tcpNotSentLowAt is TCP_NOTSENT_LOWAT (tcp(7)), which package syscall lacks.
const tcpNotSentLowAt = 25

func limitUnsent(c syscall.RawConn, bytes int) {
	_ = c.Control(func(fd uintptr) {
		// With an old kernel that does not support it, stalls are noticed later, nothing worse.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowAt, bytes)
	})
}

// unacknowledged returns how many bytes the kernel holds that the other end has not confirmed (SIOCOUTQ, tcp(7)), or 0 if it does not say.
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
