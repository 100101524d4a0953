package model

// kind is what an object is.
type kind uint8

const (
	claims kind = iota
	entries
	lives
	segments
)

// key names an object of the one stream that there is.
type key struct {
	kind      kind
	recording int // of a live playlist and a segment
	number    int // of a segment
}

// gap is the content of a number whose bytes are lost.
const gap = 0

// body is what an object holds. Which fields are set depends on its kind.
type body struct {
	epoch     int   // claim
	node      int   // claim: the name of its owner
	nonce     int   // claim: drawn anew for each that is written
	recording int   // claim, entry: what it leads to
	ended     bool  // claim, live playlist
	rows      []int // live playlist: the contents of its numbers, from 0 on; never changed once it is made
	content   int   // segment
}

// tag is an object's ETag: a function of its bytes, as the MD5 of most stores is, so that equal bytes have equal tags.
func (b *body) tag(k kind) uint64 {
	h := uint64(14695981039346656037)
	add := func(n int) { h = (h ^ uint64(n)) * 1099511628211 }
	add(int(k) + 1)
	add(b.epoch)
	add(b.node)
	add(b.nonce)
	add(b.recording)
	if b.ended {
		add(1)
	}
	for _, c := range b.rows {
		add(c + 1)
	}
	add(b.content)
	return h
}

// object is what lies in the bucket.
type object struct {
	body body
	tag  uint64
}

// condition is what a write asks for.
type condition uint8

const (
	always condition = iota
	absent           // If-None-Match: *
	same             // If-Match
)

// bucket is an object store with read-after-write consistency and conditional writes.
type bucket struct {
	objects map[key]object
}

// get returns what lies under a key.
func (b *bucket) get(k key) answer {
	o, ok := b.objects[k]
	return answer{there: ok, object: o}
}

// put carries out a write. An answer that is not done has what lies there instead, as a client finds out by reading it.
func (b *bucket) put(k key, content body, c condition, tag uint64) answer {
	old, ok := b.objects[k]
	if c == absent && ok || c == same && (!ok || old.tag != tag) {
		return answer{there: ok, object: old}
	}
	o := object{content, content.tag(k.kind)}
	b.objects[k] = o
	return answer{done: true, there: true, object: o}
}

// list returns the contents of a recording's unbroken row of segments from a number on.
func (b *bucket) list(recording, from int) (rows []int) {
	for {
		o, ok := b.objects[key{segments, recording, from + len(rows)}]
		if !ok {
			return rows
		}
		rows = append(rows, o.body.content)
	}
}

// answer is the outcome of a request.
type answer struct {
	unknown bool // there was none: the request may have been carried out, may be later, or never
	done    bool // of a write: it took effect
	there   bool // the object exists
	object  object
	rows    []int // of a listing
}
