package model

// inFlight is how many segments of a recording are sent at once.
const inFlight = 2

func (n *node) sendSegments(o *writer) {
	busy := 0
	for _, r := range o.rows {
		if r.state == sending {
			busy++
		}
	}
	for i := range o.rows {
		if busy == inFlight {
			return
		}
		if o.rows[i].state != unsent {
			continue
		}
		busy++
		o.rows[i].state = sending
		mine := body{content: o.rows[i].content}
		n.put(putSegment, key{segments, o.recording, i}, mine, absent, 0, func(a answer) {
			if n.own != o || o.rows[i].state != sending {
				return
			}
			switch {
			case a.unknown:
				o.rows[i].state = unsent
			case a.done, a.object.body.content == mine.content:
				o.rows[i].state = settled
			default: // two writers
				n.w.seen["number taken"]++
				o.rows[i] = row{gap, settled}
				if n.w.design.claims {
					n.ask(o)
				}
			}
			if n.own == o {
				n.save()
				n.shown()
			}
		})
	}
}

// list is the live playlist that can be written now.
func (o *writer) list() body {
	var b body
	for _, r := range o.rows {
		if r.state != settled {
			break
		}
		b.rows = append(b.rows, r.content)
	}
	b.ended = o.ended && len(b.rows) == len(o.rows)
	return b
}

func (n *node) sendLive(o *writer) {
	b := o.list()
	if o.live.busy || len(b.rows) == 0 || o.hasLive && o.wrote == len(b.rows) && o.hasEnd == b.ended {
		return
	}
	n.overwrite(o, &o.live, putLive, key{kind: lives, recording: o.recording}, b, func(b body) {
		o.hasLive, o.wrote, o.hasEnd = true, len(b.rows), b.ended
	})
}

func (n *node) sendEntry(o *writer) {
	if o.entry.busy || !o.hasLive || o.hasEntry {
		return
	}
	n.overwrite(o, &o.entry, putEntry, key{kind: entries}, body{recording: o.recording}, func(body) { o.hasEntry = true })
}

// overwrite writes a playlist, and finds out where it stands when that fails.
func (n *node) overwrite(o *writer, p *place, op op, k key, b body, wrote func(body)) {
	c := n.w.design.condition(p.known)
	p.busy = true
	n.put(op, k, b, c, p.tag, func(a answer) {
		if n.own != o {
			return
		}
		switch {
		case a.done:
			p.busy, p.known, p.tag = false, true, a.object.tag
			wrote(b)
		case a.unknown && !n.w.design.match:
			p.busy = false
		default:
			if !a.unknown {
				n.w.seen["refused write"]++
			}
			n.resync(o, p, k)
		}
	})
}

// resync finds out what lies under the key of a playlist that could not be written, and whether the stream is still this node's. The order
// matters: a tag that was read after the claim may be that of a later owner.
func (n *node) resync(o *writer, p *place, k key) {
	var found answer
	claim := func(then func()) {
		n.read(getClaim, key{kind: claims}, func(a answer) {
			switch {
			case n.own != o:
			case a.unknown:
				n.resync(o, p, k)
			case !n.mine(o, a):
				n.standDown()
			default:
				then()
			}
		})
	}
	object := func(then func()) {
		n.read(getObject, k, func(a answer) {
			switch {
			case n.own != o:
			case a.unknown:
				n.resync(o, p, k)
			default:
				found = a
				then()
			}
		})
	}
	take := func() {
		p.busy, p.known, p.tag = false, found.there, found.object.tag
		n.adopt(o, k, found)
	}
	if n.w.design.retryFirst {
		object(func() { claim(take) })
	} else {
		claim(func() { object(take) })
	}
}

// mine reports whether a claim is the one that a writer writes under.
func (n *node) mine(o *writer, a answer) bool {
	c := a.object.body
	return a.there && c.node == n.name() && c.epoch == o.epoch && c.nonce == o.nonce && c.recording == o.recording
}

// ask stands down if another has the stream.
func (n *node) ask(o *writer) {
	n.read(getClaim, key{kind: claims}, func(a answer) {
		switch {
		case n.own != o:
		case a.unknown:
			n.ask(o)
		case !n.mine(o, a):
			n.standDown()
		}
	})
}

// adopt takes over what lies in the bucket under a key of the writer's own.
func (n *node) adopt(o *writer, k key, a answer) {
	switch {
	case !a.there:
	case k.kind == entries:
		o.hasEntry = a.object.body.recording == o.recording
	default:
		o.merge(a.object.body.rows)
		o.hasLive, o.wrote, o.hasEnd = true, len(a.object.body.rows), a.object.body.ended
		if foreign := o.hasEnd && (!o.ended || len(o.rows) > o.wrote); foreign && n.w.design.endIsFinal {
			n.standDown() // the next publish begins a new recording
			return
		}
		n.save()
		n.shown()
	}
}

// merge makes a writer's rows agree with a playlist in the bucket.
func (o *writer) merge(rows []int) {
	for i, c := range rows {
		if i == len(o.rows) {
			o.rows = append(o.rows, row{})
		}
		if c != gap || o.rows[i].state != settled {
			o.rows[i] = row{c, settled}
		}
	}
}

// sendEnd puts the end of a recording into the claim.
func (n *node) sendEnd(o *writer) {
	if o.endBusy || !o.ending {
		return
	}
	o.endBusy = true
	end := body{epoch: o.epoch, node: n.name(), nonce: o.nonce, recording: o.recording, ended: true}
	n.put(putClaim, key{kind: claims}, end, same, o.claimTag, func(a answer) {
		if n.own != o {
			return
		}
		if a.done {
			n.over(o, a)
			return
		}
		n.settleEnd(o)
	})
}

// settleEnd finds out whether the end is in the claim.
func (n *node) settleEnd(o *writer) {
	n.read(getClaim, key{kind: claims}, func(a answer) {
		switch {
		case n.own != o:
		case a.unknown:
			n.settleEnd(o)
		case !n.mine(o, a):
			n.standDown()
		case a.object.body.ended:
			n.over(o, a)
		default:
			o.endBusy, o.claimTag = false, a.object.tag
		}
	})
}

func (n *node) over(o *writer, a answer) {
	o.endBusy, o.ending, o.ended, o.claimTag = false, false, true, a.object.tag
	n.save()
}
