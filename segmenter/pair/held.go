package pair

import (
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Limits of what a server that stands by holds until it knows where it is: the newest of it.
const (
	maxHeld      = 64 << 20 // bytes
	maxHeldTicks = 60 * codec.Clock
)

// Held are a publisher's newest frames, in the order of their times, from a picture on that a decoder can begin with.
type Held struct {
	Memory *ingest.Memory // accounts for what is held; nil: no bound

	groups       []group
	bytes        int64
	video, audio *ingest.Track // the newest
}

// group is a picture that a decoder can begin with, and all up to the next.
type group struct {
	mark   string
	at     int64 // decoding time
	shown  int64 // after that
	both   bool  // sound came before it: none that belongs to it can be missing
	bytes  int64
	frames []ingest.Frame
}

// Add takes a frame, which is the Held's own from then on. It returns how many frames it has let go of, this one among them where it comes
// before any that a decoder can begin with.
func (h *Held) Add(f *ingest.Frame) (gone int) {
	video, size := f.Track.Codec.IsVideo(), int64(0)
	for _, u := range f.Units {
		size += int64(len(u))
	}
	if video {
		h.video = f.Track
		if s := f.Track.Codec.Survey(f.Units); s.Alone() {
			h.groups = append(h.groups, group{mark: Mark(f.Units), at: f.DTS, shown: f.PTS - f.DTS, both: h.audio != nil})
		}
	} else {
		h.audio = f.Track
	}
	for len(h.groups) > 0 && (f.DTS-h.groups[0].at > maxHeldTicks || h.bytes+size > maxHeld || !h.Memory.Hold(size)) {
		gone += h.drop()
		if len(h.groups) == 0 {
			return gone + 1
		}
	}
	if len(h.groups) == 0 {
		return gone + 1
	}
	g := &h.groups[len(h.groups)-1]
	g.frames, g.bytes, h.bytes = append(g.frames, *f), g.bytes+size, h.bytes+size
	return gone
}

// drop lets go of the oldest group.
func (h *Held) drop() (gone int) {
	g := h.groups[0]
	h.groups[0] = group{}
	h.groups, h.bytes = h.groups[1:], h.bytes-g.bytes
	h.Memory.Yield(g.bytes)
	return len(g.frames)
}

// Clear lets go of everything, and returns how many frames that were.
func (h *Held) Clear() (gone int) {
	for len(h.groups) > 0 {
		gone += h.drop()
	}
	return gone
}

// Tracks returns the newest tracks; nil: none has come.
func (h *Held) Tracks() (video, audio *ingest.Track) { return h.video, h.audio }

// Find looks for a boundary among what is held, of which nothing that belongs to it was missed when the connection began. It returns the boundary, and what is to be added to times here to be those there, in ticks.
// Where a picture is found more than once, as in a scene in which nothing moves, the times of both servers are nearest to one another: one
// encoder sends the same to both. Where a protocol leaves decoding times to the receiver, those of a connection that has just begun may be others: a
// boundary at which they are is none.
func (h *Held) Find(all []Boundary) (b *Boundary, shift int64) {
	for i := range all {
		for j := range h.groups {
			g := &h.groups[j]
			if !g.both && all[i].Program != Program(h.video, nil) {
				continue
			}
			if off := all[i].At - g.at; g.mark == all[i].Mark && g.shown == all[i].Shown && (b == nil || max(off, -off) <= max(shift, -shift)) {
				b, shift = &all[i], off
			}
		}
	}
	return b, shift
}

// Take returns what is held from a decoding time on, and forgets it all.
func (h *Held) Take(at int64) (frames []ingest.Frame, gone int) {
	for len(h.groups) > 0 {
		if g := &h.groups[0]; g.at >= at {
			frames = append(frames, g.frames...)
			h.drop()
			continue
		}
		gone += h.drop()
	}
	return frames, gone
}

// Newest returns what is held from the newest picture on that a decoder can begin with, and forgets it all.
func (h *Held) Newest() (frames []ingest.Frame, gone int) {
	if len(h.groups) == 0 {
		return nil, 0
	}
	return h.Take(h.groups[len(h.groups)-1].at)
}
