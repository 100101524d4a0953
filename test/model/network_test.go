package model

import "slices"

// op is what a request does.
type op uint8

const (
	getClaim op = iota
	getObject
	listSegments
	putClaim
	putSegment
	putLive
	putEntry
	putEnd // ENDLIST, by who begins the next recording
	ops
)

func (o op) String() string {
	return [...]string{"read of the claim", "read of a playlist", "listing", "write of the claim", "write of a segment", "write of live.m3u8", "write of the entry", "write of another's end"}[o]
}

// request is on its way to the bucket, or its answer on the way back.
type request struct {
	node    int
	op      op
	key     key
	body    body
	when    condition
	tag     uint64
	epoch   int // that the writer believes to be the owner in; 0: none
	carried bool
	answer  answer
	then    func(answer) // nil: nobody waits for the answer
}

// network holds the requests that have not had their end, in their order.
type network struct{ requests []*request }

// orphan makes a node's requests those of nobody: writes may still be carried out.
func (t *network) orphan(node int) {
	t.requests = slices.DeleteFunc(t.requests, func(r *request) bool {
		if r.node == node {
			r.then = nil
		}
		return r.pointless()
	})
}

// pointless reports whether nothing can come of a request any more.
func (r *request) pointless() bool { return r.then == nil && (r.carried || r.op < putClaim) }

// first is the oldest request of a node and op that want accepts, or nil.
func (t *network) first(node int, op op, want func(*request) bool) *request {
	for _, r := range t.requests {
		if r.node == node && r.op == op && want(r) {
			return r
		}
	}
	return nil
}

// remove forgets a request.
func (t *network) remove(r *request) {
	t.requests = slices.DeleteFunc(t.requests, func(other *request) bool { return other == r })
}

func (n *node) read(op op, k key, then func(answer)) {
	n.w.net.requests = append(n.w.net.requests, &request{node: n.id, op: op, key: k, then: then})
}

func (n *node) put(op op, k key, b body, when condition, tag uint64, then func(answer)) {
	r := &request{node: n.id, op: op, key: k, body: b, when: when, tag: tag, then: then}
	if n.own != nil {
		r.epoch = n.own.epoch
	}
	n.w.net.requests = append(n.w.net.requests, r)
}

// carryOut lets the bucket do what a request asks for.
func (w *world) carryOut(r *request) {
	r.carried = true
	switch r.op {
	case getClaim, getObject:
		r.answer = w.bucket.get(r.key)
	case listSegments:
		r.answer = answer{rows: w.bucket.list(r.key.recording, r.key.number)}
	default:
		old, was := w.bucket.objects[r.key]
		r.answer = w.bucket.put(r.key, r.body, r.when, r.tag)
		if r.answer.done {
			w.check.written(w, r, old, was)
		}
	}
	if r.then == nil {
		w.net.remove(r)
	}
}
