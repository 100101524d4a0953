package file

import (
	"errors"
	"fmt"
	"io"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Unit is one access unit: a picture, or a frame of sound.
type Unit struct {
	Track    *Track
	PTS, DTS int64 // 90 kHz ticks on the movie's time line, on which its edit lists put it; the first may be before 0
	Duration int64 // 90 kHz ticks
	Key      bool  // the file says that decoding may begin with it
	Data     []byte
}

// Reader gives the access units of some tracks in the order of their decoding times. It serves one goroutine.
type Reader struct {
	w      *window
	tracks []*reading
	unit   Unit
	read   int64 // bytes that were given so far, and one for each sample without any
}

// reading is where a track has got to.
type reading struct {
	t     *Track
	from  source
	head  sample
	ok    bool
	early int64
}

// Reader reads tracks, which are of m.
func (m *Movie) Reader(tracks []*Track) (*Reader, error) {
	r := &Reader{w: newWindow(m.w.r, m.w.size, 2*len(tracks)+2)}
	for _, t := range tracks {
		n := &reading{t: t}
		early, err := t.early(r.w)
		if err != nil {
			return nil, err
		}
		n.early = early
		skip, err := t.skipped(r.w)
		if err != nil {
			return nil, err
		}
		if n.from, err = t.source(r.w); err != nil {
			return nil, err
		}
		for range skip + 1 {
			if err := n.advance(); err != nil {
				return nil, err
			}
		}
		r.tracks = append(r.tracks, n)
	}
	return r, nil
}

// source is the samples of the index, and those of fragments behind them.
func (t *Track) source(w *window) (source, error) {
	l, err := t.listed(w)
	if err != nil || !t.movie.fragmented {
		return l, err
	}
	return &chained{l, &fragments{t: t, w: w, off: t.movie.first}}, nil
}

// chained is two sources, one behind the other.
type chained struct{ first, then source }

// next implements source.
func (c *chained) next() (sample, bool, error) {
	if c.first != nil {
		if s, ok, err := c.first.next(); ok || err != nil {
			return s, ok, err
		}
		c.first = nil
	}
	return c.then.next()
}

// lookAhead is how many samples tell by how much a track shows pictures before they are decoded, by its own times.
const lookAhead = 64

// early is by how much the track's decoding times are to be earlier: some writers let a picture be decoded when it is shown, and the others,
// that it needs, behind that (negative composition offsets).
func (t *Track) early(w *window) (most int64, err error) {
	if t.Medium != Video {
		return 0, nil
	}
	s, err := t.source(w)
	if err != nil {
		return 0, err
	}
	for range lookAhead {
		x, ok, err := s.next()
		if err != nil || !ok {
			return most, err
		}
		most = max(most, -x.offset)
	}
	return most, nil
}

// maxSkipped bounds what an edit list may leave out.
const maxSkipped = 1 << 24

// skipped is how many samples are before what the edit list shows first: of pictures, those before the key from which it can be decoded.
func (t *Track) skipped(w *window) (int, error) {
	if t.begin == 0 {
		return 0, nil
	}
	s, err := t.source(w)
	if err != nil {
		return 0, err
	}
	for n, i := 0, 0; ; i++ {
		if i == maxSkipped {
			return 0, damaged("the edit list of track %d leaves out more than %d samples", t.ID, maxSkipped)
		}
		x, ok, err := s.next()
		if err != nil || !ok {
			return 0, err
		}
		if x.dts > t.begin {
			return n, nil
		}
		if t.Medium == Video && x.key && x.dts+x.offset <= t.begin {
			n = i
		}
		if t.Medium == Audio && x.dts+x.duration*2 <= t.begin { // one frame for the decoder to begin with
			n = i + 1
		}
	}
}

func (n *reading) advance() (err error) {
	if n.head, n.ok, err = n.from.next(); n.ok && n.t.end > 0 && n.head.dts >= n.t.end {
		n.ok = false
	}
	return err
}

// dts is that of the next sample, ticks.
func (n *reading) dts() int64 {
	return ratio(n.head.dts-n.early, codec.Clock, n.t.timescale) + n.t.shift
}

// Next is the next access unit, which is valid until the next call; io.EOF at the end. Other errors are an *Error, or one of the file's
// reader.
func (r *Reader) Next() (*Unit, error) {
	var first *reading
	var at int64
	for _, n := range r.tracks {
		if n.ok {
			if d := n.dts(); first == nil || d < at {
				first, at = n, d
			}
		}
	}
	if first == nil {
		return nil, io.EOF
	}
	s, t := first.head, first.t
	if err := first.advance(); err != nil {
		return nil, err
	}
	data, err := r.w.at(s.at, s.size)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, &Error{Truncated, fmt.Sprintf("the file ends before its samples do: one of track %d is at byte %d; upload it again", t.ID, s.at)}
	}
	if err != nil {
		return nil, err
	}
	if r.read += int64(max(s.size, 1)); r.read > 2*r.w.size+1<<20 {
		return nil, damaged("the samples have more bytes than the file: they lie over each other")
	}
	pts := ratio(s.dts+s.offset, codec.Clock, t.timescale) + t.shift
	r.unit = Unit{
		Track: t, DTS: min(at, pts), PTS: pts,
		Duration: ratio(s.duration, codec.Clock, t.timescale), Key: s.key, Data: data,
	}
	return &r.unit, nil
}

// Units appends the NAL units of a picture of the track to dst. ok is false where their lengths do not add up.
func (t *Track) Units(dst [][]byte, data []byte) (units [][]byte, ok bool) {
	for len(data) > 0 {
		if len(data) < t.length {
			return dst, false
		}
		n := 0
		for _, c := range data[:t.length] {
			n = n<<8 | int(c)
		}
		data = data[t.length:]
		if n < 0 || n > len(data) {
			return dst, false
		}
		if n > 0 {
			dst = append(dst, data[:n:n])
		}
		data = data[n:]
	}
	return dst, true
}
