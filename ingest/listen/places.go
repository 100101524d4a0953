package listen

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// household is a normal number of waiting connections from one address. When judging who crowds the others, fewer count as this many.
const household = 8

// places are the connections of a listener: how many there are, from whom, and which of them are waiting. A connection is waiting until it
// is busy (Settle): half-open, in its handshake, unauthenticated or idle. If places run short, a waiting connection goes: the one that has
// waited longest, of the address that has most of them. A busy connection never goes for a newcomer.
type places struct {
	mu          sync.Mutex
	total, each int // caps; none unless positive
	open        int
	crowds      map[netip.Prefix]*crowd // all that are not counted by address share the zero Prefix
	waiting     int
	begun       uint64 // number of waits so far
}

// crowd holds the connections of one address.
type crowd struct {
	open    int
	waiting list.List // of *conn, longest waiting first
}

// verdict is why a connection was rejected or displaced.
type verdict int

const (
	let      verdict = iota // there was a place
	fullAll                 // the total is reached
	fullEach                // the address has used up its share
)

// enter gives c a place, if it can. If a cap is reached, why says which one and open how many connections there are; victim is the
// connection that has lost its place to c and must be closed.
func (p *places) enter(c *conn) (ok bool, victim *conn, why verdict, open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.crowds[c.from]
	switch {
	case p.each > 0 && c.from.IsValid() && of != nil && of.open >= p.each:
		why, open, victim = fullEach, of.open, of.longest()
	case p.total > 0 && p.open >= p.total:
		why, open, victim = fullAll, p.open, p.longest()
	}
	if victim != nil {
		p.remove(victim)
	} else if why != let {
		return false, nil, why, open
	}
	if of = p.crowds[c.from]; of == nil {
		of = &crowd{}
		p.crowds[c.from] = of
	}
	p.open++
	of.open++
	p.wait(of, c)
	return true, victim, why, open
}

// resize changes the caps. Connections that have a place keep it.
func (p *places) resize(total, each int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total, p.each = total, each
}

// spare takes the place of a waiting connection when another resource that connections need is short. It returns nil if none is waiting.
func (p *places) spare() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.longest()
	if c != nil {
		p.remove(c)
	}
	return c
}

// settle marks c as busy, or as waiting from now on.
func (p *places) settle(c *conn, busy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.crowds[c.from]
	switch {
	case c.gone || busy == (c.waits == nil):
	case busy:
		p.unwait(of, c)
	default:
		p.wait(of, c)
	}
}

// leave releases c's place, unless it has lost it.
func (p *places) leave(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.gone {
		p.remove(c)
	}
}

// count returns how many connections have a place, and how many of them are waiting.
func (p *places) count() (open, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open, p.waiting
}

// The rest is called with the lock held.

func (p *places) wait(of *crowd, c *conn) {
	c.waits = of.waiting.PushBack(c)
	c.since = p.begun
	p.begun++
	p.waiting++
}

func (p *places) unwait(of *crowd, c *conn) {
	of.waiting.Remove(c.waits)
	c.waits = nil
	p.waiting--
}

func (p *places) remove(c *conn) {
	of := p.crowds[c.from]
	if c.waits != nil {
		p.unwait(of, c)
	}
	c.gone = true
	p.open--
	if of.open--; of.open == 0 {
		delete(p.crowds, c.from)
	}
}

// longest returns the connection that goes for a newcomer, or nil if none is waiting.
func (p *places) longest() *conn {
	var found *conn
	most := 0
	for _, of := range p.crowds {
		c, n := of.longest(), max(of.waiting.Len(), household)
		if c != nil && (n > most || n == most && c.since < found.since) {
			found, most = c, n
		}
	}
	return found
}

func (of *crowd) longest() *conn {
	if e := of.waiting.Front(); e != nil {
		return e.Value.(*conn)
	}
	return nil
}

// prefixOf returns what a peer is counted by.
func prefixOf(peer net.Addr) netip.Prefix {
	a, ok := addrOf(peer)
	if !ok || a.IsLoopback() || a.IsUnspecified() { // unspecified: a client whose address the proxy does not know
		return netip.Prefix{}
	}
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}
