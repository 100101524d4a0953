package attack

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// kind is a way to be a nuisance. It does so with one connection, until that is closed or gone is done.
type kind struct {
	name string
	bare bool // it runs beneath TLS
	act  func(gone context.Context, c net.Conn)
}

// mob is hostile connections that are made again and again.
type mob struct {
	all    sync.WaitGroup
	dialed atomic.Int64
	failed atomic.Int64 // could not connect
}

// pause is how long a connection of a mob waits before it comes again.
const pause = 1500 * time.Millisecond

// besiege keeps n connections of the kinds, in turn, at a port, until ctx is done. One that does not end by itself within stay is closed,
// and comes again.
func (m *mob) besiege(ctx context.Context, p port, kinds []kind, n int, stay time.Duration) {
	for i := range n {
		k := kinds[i%len(kinds)]
		m.all.Go(func() {
			for m.rest(ctx, rand.N(pause)) { // not all at once
				m.once(ctx, p, k, stay)
				if !m.rest(ctx, pause/2) {
					return
				}
			}
		})
	}
}

func (m *mob) rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (m *mob) once(ctx context.Context, p port, k kind, stay time.Duration) {
	if k.bare {
		p.tls = nil
	}
	m.dialed.Add(1)
	c, err := p.dial()
	if err != nil {
		m.failed.Add(1)
		return
	}
	defer c.Close()
	gone, cancel := context.WithTimeout(ctx, stay)
	defer cancel()
	defer context.AfterFunc(gone, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	k.act(gone, c)
}

// every calls fn at an interval until ctx is done, from n goroutines.
func (m *mob) every(ctx context.Context, d time.Duration, n int, fn func()) {
	for range n {
		m.all.Go(func() {
			tick := time.NewTicker(d)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					fn()
				case <-ctx.Done():
					return
				}
			}
		})
	}
}
