package s3

import (
	"net"
	"syscall"
	"time"
)

const (
	// leastPiece is more than two seconds' worth at 50 kB/s, and far more than a timer tick's worth at any speed.
	leastPiece = 128 << 10
	// mostPlain is a few segments; mostSecured must be copied, and should stay in the CPU cache.
	mostPlain   = 4 << 20
	mostSecured = 512 << 10
	// A piece that takes less than quickPiece is followed by one of twice the size, one that takes longer than slowPiece by the smallest.
	quickPiece = 50 * time.Millisecond
	slowPiece  = 500 * time.Millisecond

	recordSize     = 16 << 10 // of plaintext in a TLS record, at most
	recordOverhead = 64       // of its header, type and tag, rounded up
)

// pace decides how much of a body is written at once, and how much unsent data the kernel may hold. On a slow uplink both must be small,
// since the timeout for an answer starts when the kernel has everything; on a fast one small pieces cost twice as much as large ones. A
// connection begins with the smallest. A link that turns slow behind a large piece may cost one attempt; the next one has a new connection.
type pace struct {
	piece int64
	most  int64
	quick int // quick pieces in a row
	raw   syscall.RawConn
	now   func() time.Time
	begun time.Time
}

func newPace(c net.Conn, most int64, now func() time.Time) pace {
	p := pace{most: most, now: now}
	if s, ok := c.(syscall.Conn); ok {
		p.raw, _ = s.SyscallConn() // without it the kernel decides
	}
	p.set(leastPiece)
	return p
}

func (p *pace) set(piece int64) {
	p.piece, p.quick = piece, 0
	if p.raw != nil {
		limitUnsent(p.raw, int(piece))
	}
}

func (p *pace) begin() { p.begun = p.now() }

// end is called when the piece has been given to the kernel. The first may only have filled its buffer, so it takes two.
func (p *pace) end() {
	switch took := p.now().Sub(p.begun); {
	case took > slowPiece:
		if p.piece > leastPiece {
			p.set(leastPiece)
		}
		p.quick = 0
	case took > quickPiece:
		p.quick = 0
	default:
		if p.quick++; p.quick >= 2 && p.piece < p.most {
			p.set(p.piece * 2)
		}
	}
}
