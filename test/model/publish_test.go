package model

import "slices"

// publish decides about an encoder. One that is refused tries again, here or elsewhere.
func (n *node) publish(encoder int) {
	n.w.encoders[encoder] = n.id
	o := n.own
	switch {
	case o != nil && (o.ending || o.ended || n.encoder != 0):
		n.w.encoders[encoder] = nowhere
	case o != nil:
		n.encoder = encoder
	case !n.w.design.claims:
		n.own, n.encoder = &writer{recording: n.w.recording()}, encoder
	default:
		n.deciding = true
		n.acquire(encoder)
	}
}

// refuse tells an encoder that it may not publish here now.
func (n *node) refuse(encoder int) {
	n.deciding = false
	if n.w.encoders[encoder] == n.id {
		n.w.encoders[encoder] = nowhere
	}
}

// begin lets the encoder publish to what this node now owns.
func (n *node) begin(encoder int, o *writer) {
	n.deciding, n.own = false, o
	if n.w.encoders[encoder] == n.id {
		n.encoder = encoder
	}
	n.save()
	n.shown()
}

// acquire reads the claim and decides what becomes of it.
func (n *node) acquire(encoder int) {
	n.read(getClaim, key{kind: claims}, func(a answer) {
		c := a.object.body
		switch {
		case a.unknown, a.there && !c.ended && n.w.fed(n, c):
			n.refuse(encoder)
		case !a.there, c.ended:
			n.fresh(encoder, a)
		default:
			n.takeOver(encoder, a)
		}
	})
}

// claim writes a claim over the one that was read, and finds out whether it is there where no answer came.
func (n *node) claim(encoder int, old answer, c body, then func(tag uint64)) {
	condition := same
	if !old.there {
		condition = absent
	}
	n.put(putClaim, key{kind: claims}, c, condition, old.object.tag, func(a answer) {
		if a.done {
			then(a.object.tag)
			return
		}
		if !a.unknown {
			n.refuse(encoder)
			return
		}
		n.read(getClaim, key{kind: claims}, func(a answer) {
			if a.there && a.object.tag == c.tag(claims) {
				then(a.object.tag)
			} else {
				n.refuse(encoder)
			}
		})
	})
}

// fresh begins a new recording.
func (n *node) fresh(encoder int, old answer) {
	claim := func(then func(*writer)) {
		n.read(getObject, key{kind: entries}, func(entry answer) {
			if entry.unknown {
				n.refuse(encoder)
				return
			}
			c := body{epoch: old.object.body.epoch + 1, node: n.name(), nonce: n.w.nonce(), recording: n.w.recording()}
			n.claim(encoder, old, c, func(tag uint64) {
				then(&writer{epoch: c.epoch, nonce: c.nonce, recording: c.recording, claimTag: tag, entry: place{known: entry.there, tag: entry.object.tag}})
			})
		})
	}
	switch {
	case !old.there:
		claim(func(o *writer) { n.begin(encoder, o) })
	case n.w.design.finishFirst:
		n.finish(encoder, old.object.body.recording, func() { claim(func(o *writer) { n.begin(encoder, o) }) })
	default:
		claim(func(o *writer) {
			n.finish(encoder, old.object.body.recording, func() { n.begin(encoder, o) })
		})
	}
}

// finish ends in the bucket a recording that has ended by its claim, which also shuts out whoever may still write it.
func (n *node) finish(encoder, recording int, then func()) {
	k := key{kind: lives, recording: recording}
	n.read(getObject, k, func(a answer) {
		is := a.object.body
		switch d := n.w.design; {
		case a.unknown:
			n.refuse(encoder)
			return
		case is.ended, a.there && !d.finishOther, !a.there && !d.finishEmpty:
			then()
			return
		}
		c := n.w.design.condition(a.there)
		n.put(putEnd, k, body{rows: is.rows, ended: true}, c, a.object.tag, func(a answer) {
			switch {
			case a.unknown:
				n.refuse(encoder)
			case a.done:
				n.w.seen["new recording after another"]++
				then()
			default:
				n.finish(encoder, recording, then)
			}
		})
	})
}

// takeOver goes on with the recording of a claim, of whoever had it.
func (n *node) takeOver(encoder int, old answer) {
	c := body{epoch: old.object.body.epoch + 1, node: n.name(), nonce: n.w.nonce(), recording: old.object.body.recording}
	failed := func() { n.refuse(encoder) }
	if n.w.design.takeFirst {
		n.gather(c.recording, failed, func(live, list, entry answer) {
			if live.object.body.ended && n.w.design.endIsFinal {
				n.fresh(encoder, old)
				return
			}
			n.claim(encoder, old, c, func(tag uint64) { n.resume(encoder, c, tag, live, list, entry) })
		})
		return
	}
	n.claim(encoder, old, c, func(tag uint64) {
		n.gather(c.recording, failed, func(live, list, entry answer) {
			if live.object.body.ended && n.w.design.endIsFinal {
				n.fresh(encoder, answer{there: true, object: object{c, tag}})
				return
			}
			n.resume(encoder, c, tag, live, list, entry)
		})
	})
}

// gather reads what the bucket has of a recording: the live playlist, the segments after it, and the entry.
func (n *node) gather(recording int, failed func(), then func(live, list, entry answer)) {
	n.read(getObject, key{kind: lives, recording: recording}, func(live answer) {
		n.read(listSegments, key{segments, recording, len(live.object.body.rows)}, func(list answer) {
			n.read(getObject, key{kind: entries}, func(entry answer) {
				if live.unknown || list.unknown || entry.unknown {
					failed()
					return
				}
				then(live, list, entry)
			})
		})
	})
}

func (n *node) resume(encoder int, c body, tag uint64, live, list, entry answer) {
	n.w.seen["takeover"]++
	o := &writer{epoch: c.epoch, nonce: c.nonce, recording: c.recording, claimTag: tag,
		live: place{known: live.there, tag: live.object.tag}, entry: place{known: entry.there, tag: entry.object.tag},
		hasLive: live.there, wrote: len(live.object.body.rows), hasEnd: live.object.body.ended,
		hasEntry: entry.there && entry.object.body.recording == c.recording}
	o.merge(live.object.body.rows)
	for _, content := range list.rows {
		o.rows = append(o.rows, row{content, settled})
	}
	n.begin(encoder, o)
}

// start is a start of the process: it goes on with what its disk has.
func (n *node) start() {
	n.up = true
	d := n.disk
	if !d.has {
		return
	}
	o := &writer{epoch: d.epoch, nonce: d.nonce, recording: d.recording, rows: slices.Clone(d.rows), ended: d.ended}
	if !n.w.design.claims {
		n.own = o
		return
	}
	n.deciding = true
	n.recall(o)
}

// recall finds out whether what was on disk is still this node's.
func (n *node) recall(o *writer) {
	n.recallClaim(o, !n.w.design.startFirst, func(first answer) {
		n.gather(o.recording, func() { n.recall(o) }, func(live, _, entry answer) {
			n.recallClaim(o, n.w.design.startFirst, func(last answer) {
				c := last
				if !n.w.design.startFirst {
					c = first
				}
				n.deciding = false
				if !n.mine(o, c) {
					n.disk = disk{}
					return
				}
				o.ended = c.object.body.ended
				o.claimTag = c.object.tag
				o.live, o.entry = place{known: live.there, tag: live.object.tag}, place{known: entry.there, tag: entry.object.tag}
				n.own = o
				n.w.seen["going on after a start"]++
				n.adopt(o, key{kind: entries}, entry)
				n.adopt(o, key{kind: lives, recording: o.recording}, live)
			})
		})
	})
}

// recallClaim reads the claim where it is its turn.
func (n *node) recallClaim(o *writer, turn bool, then func(answer)) {
	if !turn {
		then(answer{})
		return
	}
	n.read(getClaim, key{kind: claims}, func(a answer) {
		if a.unknown {
			n.recall(o)
			return
		}
		then(a)
	})
}
