package segmenter

import (
	"slices"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Part is a piece of a segment that can be had before the segment is complete: a range of its bytes, which begins with PAT and
// PMT. It has no memory of its own.
type Part struct {
	Sequence     uint64 // of the segment
	Index        int    // in the segment, from 0
	Offset, Size int64  // bytes, of the segment's
	Start        time.Time
	Duration     int64 // 90 kHz ticks, at most Snapshot.PartTarget
	Independent  bool  // there is a place in it where a decoder can begin
	// Next is the decoding time of the picture that the next part begins with, as it stands in the bytes: 90 kHz, modulo 2^33. It is
	// AtEnd where the segment ends here, and Unknown where the picture stands still.
	Next int64

	segment *Segment
}

// What Part.Next is where no picture follows in the segment.
const (
	AtEnd   = -1 // nor anything else
	Unknown = -2 // but sound does
)

// Retain keeps the part's bytes in memory until the matching Release; false where they are gone already.
func (p *Part) Retain() bool { return p.segment.Retain() }

// Release ends what Retain began. The bytes must not be touched afterwards.
func (p *Part) Release() { p.segment.Release() }

// End is the wall time at which the part ends.
func (p *Part) End() time.Time { return p.Start.Add(cut.Duration(p.Duration)) }

// Revoked is as Segment.Revoked.
func (p *Part) Revoked() bool { return p.segment.Revoked() }

// Slices appends the part's bytes to dst as consecutive slices, to be read between Retain and Release and never written.
func (p *Part) Slices(dst [][]byte) [][]byte {
	s := p.segment
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(dst)
	if s.whole {
		dst = s.buf.Slices(dst)
	} else {
		dst = append(dst, s.view...)
	}
	return dst[:n+len(window(dst[n:], p.Offset, p.Size))]
}

// window cuts consecutive slices down to size bytes from offset on, in place.
func window(list [][]byte, offset, size int64) [][]byte {
	kept := list[:0]
	for _, b := range list {
		if offset >= int64(len(b)) {
			offset -= int64(len(b))
			continue
		}
		b = b[offset:]
		b, offset = b[:min(int64(len(b)), size)], 0
		if size -= int64(len(b)); len(b) > 0 {
			kept = append(kept, b)
		}
	}
	return kept
}

// Part finds a part, a copy of it; false where the snapshot does not have it.
func (s *Snapshot) Part(sequence uint64, index int) (Part, bool) {
	i, ok := slices.BinarySearchFunc(s.Parts, sequence, func(p Part, n uint64) int {
		if p.Sequence < n || p.Sequence == n && p.Index < index {
			return -1
		}
		return int(min(p.Sequence-n, 1))
	})
	if !ok || s.Parts[i].Index != index {
		return Part{}, false
	}
	return s.Parts[i], true
}

// Count is how many parts of a segment the snapshot has.
func (s *Snapshot) Count(sequence uint64) (n int) {
	for i := len(s.Parts) - 1; i >= 0 && s.Parts[i].Sequence >= sequence; i-- {
		if s.Parts[i].Sequence == sequence {
			n++
		}
	}
	return n
}

// Newest is the number of the segment that the newest part is of, complete or not, and that part's index; below 0 where the newest
// segment has none.
func (s *Snapshot) Newest() (sequence uint64, index int) {
	s = s.Whole()
	if n := len(s.Parts); n > 0 && s.Parts[n-1].Sequence+1 >= s.Next() {
		return s.Parts[n-1].Sequence, s.Parts[n-1].Index
	}
	return s.Next() - min(1, s.Next()), -1
}

// Hint is the part that comes next, as far as it is known; false: none is expected.
func (s *Snapshot) Hint() (sequence uint64, index int, ok bool) {
	s = s.Whole()
	if s.PartTarget == 0 || s.unparted || !s.Writing || s.Opened != s.Next() || s.State == Ended || len(s.Rows) == 0 {
		return 0, 0, false
	}
	return s.Next(), s.Count(s.Next()), true
}

// Pictured is the snapshot without the newest parts of which it is not known yet how long their last picture stands: the picture stands
// still, and sound goes on, or a segment that ended is not listed. Who serves the tracks apart goes by it.
func (s *Snapshot) Pictured() *Snapshot {
	s = s.Whole()
	n := len(s.Parts)
	for n > 0 && s.Parts[n-1].Sequence >= s.Next() && s.Parts[n-1].Next < 0 {
		n--
	}
	if n == len(s.Parts) {
		return s
	}
	short := *s
	short.Parts = s.Parts[:n:n]
	return &short
}

// Together is what has to be read of a segment for one of its parts to be rendered: up to and with the last part, and then the
// picture at next, which may be AtEnd. False: that is not known yet, or there is no such part.
func (s *Snapshot) Together(sequence uint64, index int) (last int, next int64, ok bool) {
	s = s.Whole()
	for n := s.Count(sequence); index < n; index++ {
		if sequence < s.Next() && index == n-1 {
			return index, AtEnd, true
		}
		if p, _ := s.Part(sequence, index); p.Next >= 0 {
			return index, p.Next, true
		}
	}
	return 0, 0, false
}

// growth is the parts of a segment that is being written.
type growth struct {
	row       Row // as far as it is known
	parts     []Part
	segment   *Segment
	withdrawn bool  // it has none any more
	from      int64 // where the part in hand begins, bytes
	access    bool  // a decoder can begin in it
	lasted    int64 // the parts so far, ticks
	target    int64 // PART-TARGET, ticks
	owed      int64 // what parts without frames lasted: the next one's, ticks
}

// newGrowth is that of a segment that begins.
func newGrowth(g *cut.Segment, buf *mpegts.Buffer) *growth {
	s := &Segment{buf: buf}
	s.refs.Store(1)
	return &growth{segment: s, row: Row{Sequence: g.Number, Start: g.Wall, Discontinuity: g.Discontinuity, Independent: g.Independent}}
}

// end ends the part in hand where the bytes end now, after some ticks, of which a part has no more than target; next is its Next. It
// reports whether it is one, and not tables alone.
func (g *growth) end(length, target, next int64) bool {
	to := int64(g.segment.buf.Len())
	if to-g.from <= 2*mpegts.PacketSize {
		g.owed += length
		return false
	}
	g.segment.mu.Lock()
	g.segment.view = g.segment.buf.View(g.segment.view)
	g.segment.mu.Unlock()
	length = max(1, min(length+g.owed, target))
	g.target = target
	g.parts = append(g.parts, Part{
		Sequence: g.row.Sequence, Index: len(g.parts), Offset: g.from, Size: to - g.from, Start: g.row.Start.Add(cut.Duration(g.lasted)),
		Duration: length, Independent: g.access, Next: next, segment: g.segment,
	})
	g.lasted, g.owed, g.from, g.access = g.lasted+length, 0, to, false
	return true
}

// PartFile is the last element of a part's path, "000000042.3.ts".
func PartFile(sequence uint64, index int) string {
	return numbered(sequence, "."+strconv.Itoa(index)+".ts")
}

// What a log does with parts.

// grow implements sink. Nobody is told of parts before there is a playlist that they could stand in.
func (l *log) grow(g *growth) {
	l.partTarget = g.target
	if len(g.parts) == 1 {
		if g.row.Sequence < l.parted || l.state == Ended {
			g.withdrawn = true // viewers may have had other bytes by these names
			return
		}
		l.growing, l.parted = append(l.growing, g), g.row.Sequence+1
	}
	if len(l.table.rows) > 0 && g.row.Sequence == l.table.next() {
		l.generation++
		l.t.advance(l.full())
	}
}

// unpart implements sink.
func (l *log) unpart(number uint64) { l.parted = max(l.parted, number+1) }

// withdraw forgets the parts of a number that is not going to be listed, or not as it was.
func (l *log) withdraw(number uint64) {
	l.growing = slices.DeleteFunc(l.growing, func(g *growth) bool { return g.row.Sequence <= number })
}

// whole makes a segment of what is complete, and lists its parts. Segments that were read when they should have been trimmed are
// trimmed now.
func (l *log) whole(e Row, f *finished) *Segment {
	g := f.growth
	if g == nil {
		return newSegment(e, f.buf)
	}
	if !g.withdrawn && (e.Sequence >= l.parted || slices.Contains(l.growing, g)) {
		l.follow(g)
		l.edge, l.shown, l.parted = nil, 0, max(l.parted, e.Sequence+1)
	}
	if g.target > 0 {
		l.partTarget = g.target
	}
	l.withdraw(e.Sequence)
	g.segment.complete(e)
	for _, s := range l.table.segments[max(0, len(l.table.segments)-3):] {
		s.trim()
	}
	return g.segment
}

// follow makes the parts of a segment the last ones; nil: those of listed rows are.
func (l *log) follow(g *growth) {
	if l.edge != nil && l.edge != g {
		n := len(l.parts) - l.shown
		l.parts, l.shown = l.parts[:n:n], 0 // snapshots have what is behind: others go elsewhere
	}
	if l.edge = g; g != nil {
		l.parts, l.shown = append(l.parts, g.parts[l.shown:]...), len(g.parts)
	}
}

// addParts gives a snapshot the parts, and forgets those that are older than two times what a playlist lists. All snapshots share
// one slice, each as far as it was filled.
func (l *log) addParts(s *Snapshot) {
	s.PartTarget, s.step, s.ll = l.partTarget, &advance{over: make(chan struct{})}, &lowLatency{r: l.renderer, t: l.t}
	if l.o.Window >= DeltaWindow {
		s.SkipUntil = 6 * l.target
	}
	s.unparted = l.table.next() < l.parted
	var edge *growth
	for _, g := range l.growing {
		if g.row.Sequence == l.table.next() && !g.withdrawn {
			edge, s.Edge, s.unparted = g, g.row, false
		}
	}
	l.follow(edge)
	oldest, left := l.table.next(), int64(6*l.target)*Clock
	for ; oldest > l.table.base && left > 0; oldest-- {
		left -= l.table.row(oldest - 1).Duration
	}
	n := 0
	for n < len(l.parts) && l.parts[n].Sequence < oldest {
		n++
	}
	l.parts = l.parts[n:]
	s.Parts = l.parts[:len(l.parts):len(l.parts)]
}

// DeltaWindow is how long the window has to be for delta updates to be worth anything.
const DeltaWindow = 5 * time.Minute
