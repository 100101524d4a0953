package fmp4

import (
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Excerpt is parts of a segment that follow each other, rendered on their own: they give the bytes that they give in the whole.
type Excerpt struct {
	First int   // the index of the first of them in the segment
	After State // of the parts before; the zero value where First is 0
	// Next is the decoding time of the picture that follows the last of them in the segment: 90 kHz, modulo 2^33. Below 0 the
	// segment ends with them, and its duration counts.
	Next int64
}

// State is what a part of a segment has to know of those before it. It is read-only.
type State struct {
	base  int64 // a time of the segment, unwrapped
	based bool

	sets        []byte // the parameter sets of the segment's first picture
	set         []int
	first, last int64 // DTS
	count       int

	config codec.AACConfig
	next   int64
}

// Parts is as Remux for an excerpt of a segment, whose pieces begin with tables and have nothing but its parts. The state is that
// after them.
func (r *Remuxer) Parts(dst []byte, pieces [][]byte, s Segment, e Excerpt) ([]byte, Tracks, State, error) {
	r.excerpt = e
	defer func() { r.excerpt = whole() }()
	out, t, err := r.remux(dst, pieces, s)
	if err != nil {
		return out, t, State{}, err
	}
	v, a := &r.video, &r.audio
	after := State{
		base: r.base, based: r.based, sets: e.After.sets, set: e.After.set, first: v.first, last: v.last, count: v.count, config: a.config, next: a.next,
	}
	if e.After.count == 0 {
		after.sets, after.set = slices.Clone(v.sets), slices.Clone(v.set)
	}
	return out, t, after, nil
}

// whole is the excerpt that is a segment.
func whole() Excerpt { return Excerpt{Next: -1} }

// resume goes on where the parts before ended.
func (r *Remuxer) resume() {
	e, v, a := &r.excerpt, &r.video, &r.audio
	v.part, a.part = e.First, e.First
	if e.First == 0 {
		return
	}
	s := &e.After
	r.base, r.based = s.base, s.based
	v.sets, v.set = append(v.sets, s.sets...), append(v.set, s.set...)
	v.first, v.last, v.count = s.first, s.last, s.count
	a.config, a.next = s.config, s.next
}

// over is the DTS at which the last picture ends.
func (r *Remuxer) over(duration int64) int64 {
	switch next := r.excerpt.Next; {
	case next >= 0:
		return Unwrap(r.base, next)
	case r.video.count > 0:
		return r.video.over(duration)
	}
	return r.base
}
