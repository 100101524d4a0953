package s3

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// dialer opens the connections to a store.
type dialer struct {
	settings *tls.Config // shared, and not modified
	now      func() time.Time

	// Of *[]byte, only for what is in transit: for the smallest piece and the largest, with the overhead of encryption.
	small, large sync.Pool
}

// dial opens a connection whose send buffer holds little that is not in transit yet. Otherwise the kernel would swallow a whole segment at
// once, and on a slow uplink the watchdog would see one jump and then silence.
func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.tcp(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, d: d, pace: newPace(c, mostPlain, d.now)}, nil
}

func (d *dialer) tcp(ctx context.Context, network, addr string) (net.Conn, error) {
	n := net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	return n.DialContext(ctx, network, addr)
}

// dialTLS is dial for https.
func (d *dialer) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.tcp(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	o := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.settings != nil {
		o = d.settings.Clone()
	}
	if o.ServerName == "" {
		if o.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			c.Close()
			return nil, err
		}
	}
	o.DynamicRecordSizingDisabled = true // it is for browsers, which wait for the first bytes
	g := &gathering{Conn: c, d: d}
	s := tls.Client(g, o)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := s.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return &conn{Conn: s, d: d, out: g, pace: newPace(c, mostSecured, d.now)}, nil
}

// buffer returns an empty buffer for a piece of that size; it must be put back.
func (d *dialer) buffer(piece int64) *[]byte {
	pool, size := &d.small, int64(leastPiece)
	if piece > size {
		pool, size = &d.large, mostSecured
	}
	if b, _ := pool.Get().(*[]byte); b != nil {
		return b
	}
	b := make([]byte, 0, size+size/recordSize*recordOverhead)
	return &b
}

func (d *dialer) giveBack(b *[]byte) {
	*b = (*b)[:0]
	if cap(*b) >= mostSecured {
		d.large.Put(b)
	} else {
		d.small.Put(b)
	}
}
