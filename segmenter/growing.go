package segmenter

import "github.com/hlsorigin/hlsorigin/segmenter/mpegts"

// Growing is a segment that is being written, as far as it is: for who keeps it on disk before it is complete. Its bytes are
// those that the segment will begin with. Release it when they are read.
type Growing struct {
	Sequence uint64
	Size     int64    // bytes written so far
	Slices   [][]byte // the bytes from the asked offset on; never written, good until Release
	buf      *mpegts.Buffer
}

// grower is a keeper that writes segments.
type grower interface {
	// growing is the segment in hand; nil where there is none. Timeline.mu is held.
	growing() *draft
}

func (c *recording) growing() *draft { return c.pack.open }
func (c *companion) growing() *draft { return c.pack.open }

// Growing is the segment that is being written, without the bytes that last, an earlier answer for the same segment, had
// already; last may be nil. It is nil where no segment is being written. The publisher is held up for no longer than it takes
// to note where the bytes are: none is copied.
func (t *Timeline) Growing(last *Growing) *Growing {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.keeper.(grower)
	if !ok {
		return nil
	}
	d := k.growing()
	if d == nil {
		return nil
	}
	from := 0
	if last != nil && last.buf == d.buf {
		from = int(last.Size)
	}
	d.buf.Pin()
	return &Growing{Sequence: d.Number, Size: int64(d.buf.Len()), Slices: d.buf.SlicesFrom(nil, from), buf: d.buf}
}

// Release gives the bytes back. What Same and Of compare by stays.
func (g *Growing) Release() {
	g.Slices = nil
	g.buf.Release()
}

// Same reports whether the other is an answer for the same segment; nil is none.
func (g *Growing) Same(other *Growing) bool { return other != nil && g.buf == other.buf }

// Of reports whether s is the segment that this became.
func (g *Growing) Of(s *Segment) bool { return g.buf == s.buf }
