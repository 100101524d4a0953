package http1

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// poller watches connections that wait for their next request, and answers those that are ready, many per system call. The runtime's own
// poller would wake a goroutine for each of them, which costs more than the answer to a playlist poll. The poller itself is watched by the
// runtime's, so that it holds no thread while there is nothing to do.
type poller struct {
	epoll *os.File
	raw   syscall.RawConn
	fd    int
	serve func(v *visitor, hangUp bool) // answers what came from a parked visitor
	sweep func(*visitor)                // checks a visitor from time to time
	every time.Duration                 // so often
	began time.Time                     // the zero time of its connections' deadlines

	stopped atomic.Bool

	mu       sync.Mutex
	visitors map[int32]*visitor // by file descriptor
}

func newPoller(serve func(v *visitor, hangUp bool), sweep func(*visitor), every time.Duration) (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // otherwise a reader of os.NewFile would block in the system call
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	p := &poller{epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd, serve: serve, sweep: sweep, every: every, began: time.Now(), visitors: make(map[int32]*visitor)}
	if p.raw, err = p.epoll.SyscallConn(); err == nil {
		err = p.epoll.SetReadDeadline(time.Now().Add(every))
	}
	if err != nil {
		_ = p.epoll.Close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return p, nil
}

// run runs until close.
func (p *poller) run() {
	defer func() { _ = p.epoll.Close() }()
	const batch = 128
	var events [batch]syscall.EpollEvent
	var ready [batch]*visitor
	n := 0
	look := func(uintptr) bool {
		r, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&events[0])), batch, 0, 0, 0)
		if n = int(r); errno != 0 {
			n = 0
		}
		return n > 0
	}
	next := time.Now().Add(p.every)
	for busy := false; !p.stopped.Load(); {
		// While there is always more to do, others get the CPU after each batch, in this process and outside, including those who got an
		// answer. The runtime's poller is not used then.
		if busy {
			_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
			runtime.Gosched()
		}
		var err error
		if busy = look(0); !busy {
			err = p.raw.Read(look)
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			n = 0
		}
		p.mu.Lock()
		for i := range n {
			ready[i] = p.visitors[events[i].Fd]
		}
		p.mu.Unlock()
		for i, v := range ready[:n] {
			if v != nil {
				p.serve(v, events[i].Events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0)
			}
			ready[i] = nil
		}
		if now := time.Now(); !now.Before(next) {
			next = now.Add(p.every)
			p.look()
			if p.epoll.SetReadDeadline(next) != nil {
				return
			}
		}
	}
}

// look sweeps all visitors.
func (p *poller) look() {
	p.mu.Lock()
	all := make([]*visitor, 0, len(p.visitors))
	for _, v := range p.visitors {
		all = append(all, v)
	}
	p.mu.Unlock()
	for _, v := range all {
		p.sweep(v)
	}
}

// close makes run return, which closes its descriptors: only run knows when it has used them for the last time.
func (p *poller) close() {
	p.stopped.Store(true)
	_ = p.epoll.SetReadDeadline(time.Unix(1, 0))
}

// watch begins: from now on serve is called for the visitor, at once if input is already there. net.ErrClosed means that it has been closed
// meanwhile: its descriptor may already be another's.
func (p *poller) watch(v *visitor) error {
	const edge = 1 << 31 // EPOLLET, whose constant is negative
	k := v.sock
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.closed {
		return net.ErrClosed
	}
	p.mu.Lock()
	p.visitors[int32(k.fd)] = v
	p.mu.Unlock()
	err := syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, k.fd, &syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | edge, Fd: int32(k.fd),
	})
	if err != nil {
		p.forget(k.fd)
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

func (p *poller) forget(fd int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.visitors, int32(fd))
}

// adopt takes a connection from the runtime's poller and closes the original. It returns nil if the connection cannot be taken.
func (p *poller) adopt(c net.Conn) *sock {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	if err := raw.Control(func(from uintptr) {
		if r, _, errno := syscall.Syscall(syscall.SYS_FCNTL, from, syscall.F_DUPFD_CLOEXEC, 0); errno == 0 {
			fd = int(r)
		}
	}); err != nil || fd < 0 {
		return nil
	}
	k := &sock{poll: p, fd: fd, local: tcp.LocalAddr(), remote: tcp.RemoteAddr(), event: make(chan struct{}, 1)}
	_ = tcp.Close()
	return k
}
