//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hlsorigin/hlsorigin/bench/stat"
)

// Hammer requests one path repeatedly on many kept-alive connections, on each as soon as it has the previous answer. It waits for sockets
// with epoll in a few goroutines, so that as much of the machine as possible is the server's.
type Hammer struct {
	workers []*hammerer
	wait    sync.WaitGroup
	closing atomic.Bool

	took     stat.Histogram
	requests atomic.Int64
	bytes    atomic.Int64 // of bodies
	failed   atomic.Int64 // answers without a 200, connections that broke
	zipped   atomic.Int64 // answers with a Content-Encoding
	words    atomic.Pointer[string]
}

// Meter holds a hammer's counts at one moment.
type Meter struct {
	Requests, Bytes, Failed, Zipped int64
	Took                            *stat.Counts
}

// StartHammer connects and begins. The caller must call Stop.
func StartHammer(t Target, gzip bool, connections, workers int) (*Hammer, error) {
	h := &Hammer{}
	address, err := net.ResolveTCPAddr("tcp4", t.Host)
	if err != nil {
		return nil, fmt.Errorf("hammer: %w", err)
	}
	to := &syscall.SockaddrInet4{Port: address.Port}
	copy(to.Addr[:], address.IP.To4())
	for i := range workers {
		w, err := newHammerer(h, to, request(t.Host, t.Path, t.Cookie, gzip), connections*(i+1)/workers-connections*i/workers)
		if err != nil {
			for _, w := range h.workers {
				w.close()
			}
			return nil, fmt.Errorf("hammer: %w", err)
		}
		h.workers = append(h.workers, w)
	}
	for _, w := range h.workers {
		h.wait.Go(w.run)
	}
	return h, nil
}

// Read returns the counts.
func (h *Hammer) Read() Meter {
	return Meter{h.requests.Load(), h.bytes.Load(), h.failed.Load(), h.zipped.Load(), h.took.Snapshot()}
}

// Since returns what happened after earlier.
func (m Meter) Since(earlier Meter) Meter {
	return Meter{m.Requests - earlier.Requests, m.Bytes - earlier.Bytes, m.Failed - earlier.Failed, m.Zipped - earlier.Zipped, m.Took.Since(earlier.Took)}
}

// Stop closes the connections, and returns the first error, if any.
func (h *Hammer) Stop() error {
	h.closing.Store(true)
	h.wait.Wait()
	if w := h.words.Load(); w != nil {
		return errors.New(*w)
	}
	return nil
}

func (h *Hammer) fail(format string, args ...any) {
	h.failed.Add(1)
	s := fmt.Sprintf("hammer: "+format, args...)
	h.words.CompareAndSwap(nil, &s)
}

// hammerer holds one goroutine's connections.
type hammerer struct {
	hammer  *Hammer
	epoll   int
	request []byte
	conns   map[int32]*nail
	buffer  []byte
}

// nail is one connection.
type nail struct {
	fd    int
	asked time.Time
	sent  int
	head  []byte // of the answer, until it is complete
	body  body
}

func newHammerer(h *Hammer, to syscall.Sockaddr, request []byte, connections int) (*hammerer, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	w := &hammerer{hammer: h, epoll: epoll, request: request, conns: map[int32]*nail{}, buffer: make([]byte, 256<<10)}
	for range connections {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			w.close()
			return nil, err
		}
		n := &nail{fd: fd}
		w.conns[int32(fd)] = n
		err = errors.Join(syscall.Connect(fd, to), syscall.SetNonblock(fd, true),
			syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
			syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}))
		if err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

func (w *hammerer) close() {
	for _, n := range w.conns {
		_ = syscall.Close(n.fd)
	}
	_ = syscall.Close(w.epoll)
}

func (w *hammerer) run() {
	defer w.close()
	for fd, n := range w.conns {
		if err := w.ask(n); err != nil {
			w.drop(fd, err)
		}
	}
	events := make([]syscall.EpollEvent, 128)
	for !w.hammer.closing.Load() && len(w.conns) > 0 {
		n, err := syscall.EpollWait(w.epoll, events, 100)
		if err != nil && err != syscall.EINTR {
			w.hammer.fail("epoll: %v", err)
			return
		}
		for _, e := range events[:max(n, 0)] {
			if c := w.conns[e.Fd]; c != nil {
				if err := w.read(c); err != nil {
					w.drop(e.Fd, err)
				}
			}
		}
	}
}

func (w *hammerer) drop(fd int32, err error) {
	w.hammer.fail("connection: %v", err)
	_ = syscall.Close(int(fd))
	delete(w.conns, fd)
}

// ask sends the request; it is far smaller than an empty socket buffer.
func (w *hammerer) ask(n *nail) error {
	n.asked = time.Now()
	n.head = n.head[:0]
	k, err := syscall.Write(n.fd, w.request)
	if err == nil && k < len(w.request) {
		err = errors.New("the request was not taken whole")
	}
	return err
}

var (
	errHungUp = errors.New("the server hung up")
	errAnswer = errors.New("the answer cannot be read")
)

// read reads what has come, and sends the next request when the answer is complete.
func (w *hammerer) read(n *nail) error {
	k, err := syscall.Read(n.fd, w.buffer)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return nil
	case err != nil:
		return err
	case k == 0:
		return errHungUp
	}
	b := w.buffer[:k]
	if n.body.state == inHead {
		have := len(n.head)
		n.head = append(n.head, b...)
		end := bytes.Index(n.head, []byte("\r\n\r\n"))
		if end < 0 {
			if len(n.head) > 32<<10 {
				return errAnswer
			}
			return nil
		}
		b = b[end+4-have:]
		if err := w.begin(n, n.head[:end+2]); err != nil {
			return err
		}
	}
	took, done, err := n.body.take(b)
	w.hammer.bytes.Add(int64(took))
	if err != nil || !done {
		return err
	}
	n.body = body{}
	w.hammer.took.Add(time.Since(n.asked))
	w.hammer.requests.Add(1)
	return w.ask(n)
}

// begin reads the head of an answer.
func (w *hammerer) begin(n *nail, head []byte) error {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200")) {
		w.hammer.fail("%s", bytes.TrimSpace(head[:bytes.IndexByte(head, '\r')]))
	}
	n.body = body{state: inBody, left: -1}
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			k, err := strconv.Atoi(string(value))
			if err != nil {
				return errAnswer
			}
			n.body.left = k
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			n.body = body{state: inSize}
		case bytes.EqualFold(name, []byte("Content-Encoding")):
			w.hammer.zipped.Add(1)
		}
	}
	if n.body.left < 0 {
		return errAnswer
	}
	return nil
}
