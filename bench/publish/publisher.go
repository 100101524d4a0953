//go:build linux

package publish

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// publisher is one connection that sends.
type publisher struct {
	index  int
	conn   *net.TCPConn
	raw    syscall.RawConn
	stream uint32

	begin time.Time // of its time line
	due   time.Time // when to go on
	at    time.Time // when the current piece was due
	head  int       // how many of the head's pieces have been sent
	next  int       // piece of the round
	round uint32
	sent  int // bytes of the current piece
	keys  int
}

func newPublisher(c *net.TCPConn, stream uint32, index int) (*publisher, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return &publisher{index: index, conn: c, raw: raw, stream: stream}, nil
}

func (p *publisher) close() { _ = p.conn.Close() }

// again is how soon a full connection is tried again.
const again = 2 * time.Millisecond

// send sends what is due, and sets when to continue.
func (w *worker) send(p *publisher) error {
	f, r := w.fleet, w.reel
	for p.head < len(r.head) {
		done, err := w.write(p, &r.head[p.head], 0)
		if err != nil || !done {
			return err
		}
		p.head++
	}
	piece := &r.pieces[p.next]
	ms := p.round*r.period + piece.at
	p.at = p.begin.Add(time.Duration(ms) * time.Millisecond)
	if wait := time.Until(p.at); wait > 0 {
		p.due = p.at
		return nil
	}
	done, err := w.write(p, piece, ms)
	if err != nil || !done {
		return err
	}
	now := time.Now()
	f.Late.Add(now.Sub(p.at))
	f.Frames.Add(1)
	f.Bytes.Add(int64(len(piece.wire)))
	if piece.key {
		if f.opts.Key != nil {
			f.opts.Key(p.index, p.keys, now)
		}
		p.keys++
		if err := p.drain(); err != nil {
			return err
		}
	}
	if p.next++; p.next == len(r.pieces) {
		p.next = 0
		p.round++
	}
	p.due = p.begin.Add(time.Duration(p.round*r.period+r.pieces[p.next].at) * time.Millisecond)
	return nil
}

// write gives the kernel as much of a piece as it takes. A full connection is left for a moment: it must not hold up the others.
func (w *worker) write(p *publisher, piece *piece, ms uint32) (done bool, err error) {
	piece.stamp(ms, p.stream)
	var n int
	var failed error
	if err := p.raw.Write(func(fd uintptr) bool {
		n, failed = syscall.Write(int(fd), piece.wire[p.sent:])
		return true
	}); err != nil {
		return false, err
	}
	if failed != nil && !temporary(failed) {
		return false, failed
	}
	p.sent += max(n, 0)
	if p.sent == len(piece.wire) {
		p.sent = 0
		return true, nil
	}
	w.fleet.Stalls.Add(1)
	p.due = time.Now().Add(again)
	return false, nil
}

// drain discards what the server sends meanwhile, which is acknowledgements, and notices when it hangs up.
func (p *publisher) drain() error {
	var b [512]byte
	for {
		var n int
		var failed error
		if err := p.raw.Read(func(fd uintptr) bool {
			n, failed = syscall.Read(int(fd), b[:])
			return true
		}); err != nil {
			return err
		}
		switch {
		case failed != nil && temporary(failed):
			return nil
		case failed != nil:
			return failed
		case n == 0:
			return io.EOF
		case n < len(b):
			return nil
		}
	}
}

func temporary(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
}
