package cut

import "github.com/hlsorigin/hlsorigin/ingest/codec"

// keys remembers where a decoder may begin.
type keys struct {
	seen           bool
	last, interval int64 // of IDR, BLA and CRA pictures
}

// admits reports whether a segment may begin with a picture that is shown at some instant. An H.264 recovery point counts only if IDR
// pictures do not come in time, or never: they are the better beginning.
func (k *keys) admits(a codec.Access, at, segment int64) bool {
	if a == codec.Recovery {
		return !k.seen || at-k.last+codec.Clock/10 >= max(segment, k.interval*5/4)
	}
	return a > codec.Recovery
}

// note records a picture.
func (k *keys) note(a codec.Access, at int64) {
	if a <= codec.Recovery {
		return
	}
	if k.seen && at > k.last {
		k.interval = at - k.last
	}
	k.seen, k.last = true, at
}
