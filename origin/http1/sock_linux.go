package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// sock is a TCP connection that a poller watches. As a net.Conn it is used by the goroutine that has claimed it; others may change its
// deadlines and close it.
type sock struct {
	poll          *poller
	fd            int
	local, remote net.Addr

	seen    atomic.Bool   // the poller saw input while the connection was claimed, and will not see it again
	event   chan struct{} // capacity one: the same, or a deadline was changed
	waiting atomic.Bool   // for event
	readBy  atomic.Int64  // deadlines, in nanoseconds since poll.began, which setting the clock does not affect; 0 for none
	writeBy atomic.Int64

	mu     sync.RWMutex // held for reading around each system call: a closed descriptor's number may refer to another file
	closed bool
}

func (k *sock) signal() {
	select {
	case k.event <- struct{}{}:
	default:
	}
}

// tryRead is a Read that does not wait: syscall.EAGAIN means that it would have to.
func (k *sock) tryRead(p []byte) (int, error) {
	return k.try(func(fd int) (int, error) {
		n, err := quickRead(fd, p)
		if n == 0 && err == nil && len(p) > 0 {
			err = io.EOF
		}
		return n, err
	})
}

// tryWrite is a Write of something short that does not wait; it may write only a part.
func (k *sock) tryWrite(p []byte) (int, error) {
	return k.try(func(fd int) (int, error) { return quickWrite(fd, p) })
}

// try makes a system call that does not wait.
func (k *sock) try(call func(fd int) (int, error)) (int, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.closed {
		return 0, net.ErrClosed
	}
	for {
		n, err := call(k.fd)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// wait waits until something happens or the deadline has passed. There may be nothing new.
func (k *sock) wait(deadline *atomic.Int64) error {
	k.waiting.Store(true)
	defer k.waiting.Store(false)
	by := deadline.Load()
	if by == 0 {
		<-k.event
		return nil
	}
	left := time.Duration(by) - time.Since(k.poll.began)
	if left <= 0 {
		return os.ErrDeadlineExceeded
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-k.event:
	case <-t.C:
	}
	return nil
}

// each repeats a system call, waiting in between, until done reports that everything has been done.
func (k *sock) each(deadline *atomic.Int64, call func(fd int) (int, error), done func(n int) bool) error {
	if by := deadline.Load(); by != 0 && int64(time.Since(k.poll.began)) >= by {
		return os.ErrDeadlineExceeded
	}
	for {
		n, err := k.try(call)
		switch {
		case err == syscall.EAGAIN:
			if err := k.wait(deadline); err != nil {
				return err
			}
		case err != nil:
			return err
		case done(n):
			return nil
		}
	}
}

func (k *sock) Read(p []byte) (n int, err error) {
	err = k.each(&k.readBy, func(fd int) (int, error) {
		n, err := syscall.Read(fd, p)
		if n == 0 && err == nil && len(p) > 0 {
			err = io.EOF
		}
		return n, err
	}, func(m int) bool { n = m; return true })
	return n, err
}

func (k *sock) Write(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	err = k.each(&k.writeBy, func(fd int) (int, error) { return syscall.Write(fd, p[n:]) }, func(m int) bool { n += m; return n == len(p) })
	return n, err
}

// writeBuffers writes many slices with few system calls; it consumes v.
func (k *sock) writeBuffers(v *net.Buffers) (n int64, err error) {
	var list [64]syscall.Iovec
	if len(*v) == 0 {
		return 0, nil
	}
	err = k.each(&k.writeBy, func(fd int) (int, error) {
		count := 0
		for _, b := range *v {
			if len(b) == 0 {
				continue
			}
			list[count].Base = unsafe.SliceData(b)
			list[count].SetLen(len(b))
			if count++; count == len(list) {
				break
			}
		}
		r, _, errno := syscall.Syscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&list)), uintptr(count))
		if errno != 0 {
			return 0, errno
		}
		return int(r), nil
	}, func(m int) bool {
		n += int64(m)
		for len(*v) > 0 && m >= len((*v)[0]) {
			m -= len((*v)[0])
			(*v)[0] = nil
			*v = (*v)[1:]
		}
		if m > 0 {
			(*v)[0] = (*v)[0][m:]
		}
		return len(*v) == 0
	})
	return n, err
}

// ReadFrom lets the kernel send a part of a file; anything else is copied.
func (k *sock) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok {
		if f, ok := l.R.(*os.File); ok {
			return k.sendfile(l, f)
		}
	}
	return io.Copy(writerOnly{k}, r)
}

// sendfile sends what is left of r, a part of a file.
func (k *sock) sendfile(r *io.LimitedReader, f *os.File) (n int64, err error) {
	raw, err := f.SyscallConn()
	if err != nil || r.N <= 0 {
		return 0, err
	}
	const most = 1 << 30
	err = k.each(&k.writeBy, func(fd int) (m int, err error) {
		if e := raw.Control(func(from uintptr) { m, err = syscall.Sendfile(fd, int(from), nil, int(min(r.N, most))) }); e != nil {
			return 0, e
		}
		if m == 0 && err == nil {
			err = io.ErrUnexpectedEOF // the file has become shorter
		}
		return m, err
	}, func(m int) bool {
		n += int64(m)
		r.N -= int64(m)
		return r.N == 0
	})
	return n, err
}

// Close may be called more than once, and while the connection is in use.
func (k *sock) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return net.ErrClosed
	}
	k.closed = true
	k.poll.forget(k.fd)
	k.signal()
	return syscall.Close(k.fd)
}

// gone reports whether the connection has been closed.
func (k *sock) gone() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.closed
}

// CloseWrite tells the other side that nothing more will come.
func (k *sock) CloseWrite() error {
	_, err := k.try(func(fd int) (int, error) { return 0, syscall.Shutdown(fd, syscall.SHUT_WR) })
	return err
}

func (k *sock) LocalAddr() net.Addr  { return k.local }
func (k *sock) RemoteAddr() net.Addr { return k.remote }

func (k *sock) SetDeadline(t time.Time) error {
	return errors.Join(k.SetReadDeadline(t), k.SetWriteDeadline(t))
}
func (k *sock) SetReadDeadline(t time.Time) error  { return k.set(&k.readBy, t) }
func (k *sock) SetWriteDeadline(t time.Time) error { return k.set(&k.writeBy, t) }

func (k *sock) set(deadline *atomic.Int64, t time.Time) error {
	by := int64(0)
	if !t.IsZero() {
		if by = int64(t.Sub(k.poll.began)); by == 0 {
			by = -1
		}
	}
	deadline.Store(by)
	if k.waiting.Load() {
		k.signal()
	}
	return nil
}

// tcpNotSentLowAt is TCP_NOTSENT_LOWAT (tcp(7)), which package syscall does not name.
const tcpNotSentLowAt = 25

// limitUnsent bounds what the kernel keeps of a connection that it has not sent. What is on its way is not bounded by it, and so neither is
// the speed on a long line, as it would be by SO_SNDBUF.
func limitUnsent(c syscall.Conn, bytes int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowAt, bytes) // an old kernel without it takes more memory
	})
}
