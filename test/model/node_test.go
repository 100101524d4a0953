package model

import "slices"

// state is how far a segment is on its way to the bucket.
type state uint8

const (
	unsent state = iota
	sending
	settled // the bucket has it, or it is a gap
)

// row is one number of a recording, as its writer has it.
type row struct {
	content int
	state   state
}

// writer is a recording that a node writes.
type writer struct {
	epoch     int
	nonce     int // of the claim
	recording int
	rows      []row
	ending    bool // it is to end once the claim says so
	ended     bool

	claimTag uint64
	live     place
	entry    place
	endBusy  bool
	wrote    int // rows of the live playlist in the bucket, as far as known
	hasLive  bool
	hasEnd   bool
	hasEntry bool
}

// place is an object that is overwritten: one write at a time.
type place struct {
	known bool   // whether the object is there
	tag   uint64 // of what is there
	busy  bool
}

// disk is what outlives a crash: the spool, with its journal.
type disk struct {
	has       bool
	epoch     int
	nonce     int
	recording int
	rows      []row
	ended     bool
}

// node is a server.
type node struct {
	w        *world
	id       int
	up       bool
	stopped  bool // by SIGSTOP
	cut      bool // from the bucket
	deciding bool // whether an encoder may publish, or after a start whose the stream is
	encoder  int  // that is attached, from 1 on; 0: none
	own      *writer
	disk     disk
}

// name is what a node calls itself in claims.
func (n *node) name() int {
	if n.w.design.oneName && n.id == 1 {
		return 0
	}
	return n.id
}

// save keeps what a crash must not take.
func (n *node) save() {
	o := n.own
	n.disk = disk{true, o.epoch, o.nonce, o.recording, slices.Clone(o.rows), o.ended}
	for i := range n.disk.rows {
		if n.disk.rows[i].state == sending {
			n.disk.rows[i].state = unsent
		}
	}
}

// produce makes a segment of what the encoder sent.
func (n *node) produce() {
	n.w.clock++
	n.own.rows = append(n.own.rows, row{content: n.w.clock})
	n.save()
	n.shown()
}

// shown tells what viewers of this node are told of its numbers.
func (n *node) shown() {
	o := n.own
	if o == nil {
		return
	}
	for i, r := range o.rows {
		if n.w.design.confirmed && r.state != settled {
			return
		}
		n.w.check.shown(o.recording, i, r.content)
	}
}

// standDown is the end of a writer that is not the owner any more. What is on its disk stays there, for repair.
func (n *node) standDown() {
	n.w.seen["stand down"]++
	n.own, n.disk = nil, disk{}
	n.leave()
}

// leave cuts off the encoder.
func (n *node) leave() {
	if n.encoder != 0 {
		if at := &n.w.encoders[n.encoder]; *at == n.id {
			*at = nowhere
		}
		n.encoder = 0
	}
}

// crash loses everything but the disk.
func (n *node) crash() {
	n.up, n.stopped, n.deciding, n.own = false, false, false, nil
	n.encoder = 0
	for e, at := range n.w.encoders {
		if at == n.id { // one that waits to be let in, too
			n.w.encoders[e] = nowhere
		}
	}
	n.w.net.orphan(n.id)
}

// expire ends a recording whose encoder is away for too long.
func (n *node) expire() {
	if n.w.design.claims {
		n.own.ending = true
		return
	}
	n.own.ended = true
	n.save()
}

// work sends what is due.
func (n *node) work() {
	o := n.own
	if o == nil || !n.up || n.stopped {
		return
	}
	n.sendSegments(o)
	n.sendLive(o)
	n.sendEntry(o)
	n.sendEnd(o)
	if n.own == o && o.over() {
		n.own, n.disk = nil, disk{}
	}
}

// over reports whether a recording has ended and all of it is in the bucket.
func (o *writer) over() bool {
	empty := len(o.rows) == 0
	return o.ended && (empty || o.hasEnd && o.hasEntry) && !o.endBusy && !o.live.busy && !o.entry.busy
}
