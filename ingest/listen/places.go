package listen

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// household is how many waiting connections of one address are nothing unusual: in judging who crowds the others, fewer count
// as so many.
const household = 8

// places are the connections of a listener: how many, of whom, and which of them wait. A connection waits until it is at work
// (Settle): half-open, in its handshake, unauthenticated or idle. Where a place is short, one that waits goes: of the address
// that has most of them, the one that has waited longest. One that is at work never goes for a newcomer.
type places struct {
	total, each int // caps; none where not positive

	mu      sync.Mutex
	open    int
	crowds  map[netip.Prefix]*crowd // those that are not counted by address are one, under the zero Prefix
	waiting int
	begun   uint64 // waits
}

// crowd is the connections of one address.
type crowd struct {
	open    int
	waiting list.List // of *conn, the longest waiting in front
}

// verdict is why somebody was turned away, or has gone.
type verdict int

const (
	let      verdict = iota // there was a place
	fullAll                 // the total is reached
	fullEach                // the address has its share
)

// enter gives c a place, if it can. Where a cap is reached, why says which and open how many there are, and victim is the
// connection that has lost its place to c, and is to be closed.
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

// spare takes the place of a connection that waits, for want of anything else that connections need; nil where none waits.
func (p *places) spare() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.longest()
	if c != nil {
		p.remove(c)
	}
	return c
}

// settle notes that c is at work, or that it waits from now on.
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

// leave gives c's place back, unless it has lost it.
func (p *places) leave(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.gone {
		p.remove(c)
	}
}

// count is how many connections have a place, and how many of them wait.
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

// longest is who goes for a newcomer; nil where nobody waits.
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

// prefixOf is what a peer is counted by.
func prefixOf(peer net.Addr) netip.Prefix {
	a, ok := addrOf(peer)
	if !ok || a.IsLoopback() || a.IsUnspecified() { // the last is whoever a proxy knows no address of
		return netip.Prefix{}
	}
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}
