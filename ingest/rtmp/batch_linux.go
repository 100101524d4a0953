package rtmp

import (
	"crypto/tls"
	"io"
	"net"
	"syscall"
)

// batch reads a TCP socket without waiting for it: its reader comes back when it is time. The socket's low-water mark keeps the kernel from
// waking the process for what arrives in between, which would cost more than reading it.
type batch struct {
	raw  syscall.RawConn
	read func(fd uintptr) bool
	p    []byte
	n    int
	err  error
}

// lowWater is the mark in bytes; the kernel limits it to half of the receive buffer.
const lowWater = 1 << 20

// newBatch returns nil if the connection is not a plain TCP socket.
func newBatch(n net.Conn) *batch {
	for {
		if _, ok := n.(*tls.Conn); ok {
			return nil
		}
		u, ok := n.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		n = u.NetConn()
	}
	tcp, ok := n.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	b := &batch{raw: raw}
	b.read = func(fd uintptr) bool {
		for {
			if b.n, b.err = syscall.Read(int(fd), b.p); b.err != syscall.EINTR {
				return true
			}
		}
	}
	if !b.mark(lowWater) {
		return nil
	}
	return b
}

// end lets the kernel wake the process for every byte again.
func (b *batch) end() { b.mark(1) }

// mark sets the socket's low-water mark, in bytes. It reports whether the system took it.
func (b *batch) mark(bytes int) bool {
	failed := true
	err := b.raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, bytes) != nil
	})
	return err == nil && !failed
}

// Read returns 0 bytes and no error if there is nothing to read now. Deadlines work as on the connection itself.
func (b *batch) Read(p []byte) (int, error) {
	b.p = p
	err := b.raw.Read(b.read)
	b.p = nil
	switch {
	case err != nil:
		return 0, err
	case b.err == syscall.EAGAIN:
		return 0, nil
	case b.err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: b.err}
	case b.n == 0:
		return 0, io.EOF
	}
	return b.n, nil
}
