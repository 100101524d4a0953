package model

// design is what nodes do. The zero value is a server that knows of no other: each node makes recordings of its own, and writes playlists
// unconditionally.
type design struct {
	name string

	claims    bool // a claim decides who owns the stream; another node goes on with the same recording
	match     bool // playlists and entries are written with If-Match of the ETag last read or written
	confirmed bool // a segment is listed only when the bucket has it

	// The rules that the claim needs, and that "written with If-Match, and on 412 the claim is read again" does not say by itself.
	retryFirst  bool // after a write that failed, the ETag to write with is read before the claim is seen to be one's own, never after
	startFirst  bool // the same at a start
	takeFirst   bool // the same at a takeover: what the bucket has is read before the claim is written
	endIsFinal  bool // who finds ENDLIST in the bucket begins a new recording
	finishOther bool // who begins a new recording first ends the one before it in the bucket, if that has no end
	finishFirst bool // before the claim, which after a crash is all that anybody knows, leads to the new one
	finishEmpty bool // also if that has no playlist yet: somebody may still be about to write its first
	nonce       bool // a claim has something that no other has, so that nobody takes another's for his own

	oneName bool // trouble, not a rule: two nodes have one name, as copies of a machine do
}

// today is what is built before claims.
func today() design { return design{name: "today: unconditional"} }

// whole is the claim with all its rules.
func whole() design {
	return design{name: "claims, If-Match, listed when confirmed", claims: true, match: true, confirmed: true,
		retryFirst: true, startFirst: true, takeFirst: true, endIsFinal: true, finishOther: true, finishFirst: true, finishEmpty: true, nonce: true}
}

// unmatched is the same without If-Match.
func unmatched() design {
	d := whole()
	d.name, d.match = "claims without If-Match", false
	return d
}

// condition is what a playlist is written with, where one is known to be there or not.
func (d design) condition(there bool) condition {
	switch {
	case !d.match:
		return always
	case there:
		return same
	}
	return absent
}
