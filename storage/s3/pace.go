package s3

import (
	"net"
	"syscall"
	"time"
)

const (
	// leastPiece is over two seconds' worth at 50 kB/s, and far over a timer tick's worth at any speed.
	leastPiece = 128 << 10
	// mostPlain is a few segments; mostSecured has to be copied, and should not leave the processor's cache.
	mostPlain   = 4 << 20
	mostSecured = 512 << 10
	// A piece that goes faster than quickPiece is followed by one of twice the size, one that is slower than slowPiece by the
	// least.
	quickPiece = 50 * time.Millisecond
	slowPiece  = 500 * time.Millisecond

	recordSize     = 16 << 10 // of plaintext in a TLS record, at most
	recordOverhead = 64       // of its header, type and tag, and more than that
)

// pace says how much of a body is written at once, and how much the kernel may keep that is not on its way. On a slow uplink
// both have to be small, since the time for an answer runs from when the kernel has all; on a quick one small pieces cost
// twice as much as large ones. A connection begins with the least. A link that turns slow behind a large piece may cost one
// attempt; the next has a new connection.
type pace struct {
	piece int64
	most  int64
	quick int // pieces in a row
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

// end is called when the piece has been handed to the kernel. The first may have found room there, so it takes two.
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
