package file

import "encoding/binary"

// tables are where a track's tables of samples lie in the file (ISO/IEC 14496-12 8.6 to 8.7).
type tables struct {
	times   table // stts: count, delta
	offsets table // ctts: count, offset
	chunks  table // stsc: first chunk, samples, description
	places  table // stco, co64
	sizes   table // stsz, stz2
	keys    table // stss
	size    uint32
	signed  bool // of offsets
	edits   box
}

// table is one of them, which is read in pieces.
type table struct {
	there bool
	at    int64
	bits  int // of an entry
	count int64
}

// add notes a box, if it is a table.
func (t *tables) add(w *window, b box) error {
	bits, header := 0, 8
	var to *table
	switch b.kind {
	case "stts":
		to, bits = &t.times, 64
	case "ctts":
		to, bits = &t.offsets, 64
	case "stsc":
		to, bits = &t.chunks, 96
	case "stco":
		to, bits = &t.places, 32
	case "co64":
		to, bits = &t.places, 64
	case "stss":
		to, bits = &t.keys, 32
	case "stsz", "stz2":
		to, bits, header = &t.sizes, 32, 12
	default:
		return nil
	}
	if b.to-b.from < int64(header) {
		return damaged("its table %q is cut short", b.kind)
	}
	p, err := w.at(b.from, header)
	if err != nil {
		return eof(err, b.kind)
	}
	f := fields{b: p}
	version := f.u8()
	f.skip(3)
	switch b.kind {
	case "ctts":
		t.signed = version == 1
	case "stsz":
		if t.size = f.u32(); t.size != 0 {
			bits = 0
		}
	case "stz2":
		f.skip(3)
		if bits = int(f.u8()); bits != 4 && bits != 8 && bits != 16 {
			return damaged("its table %q has entries of %d bits", b.kind, bits)
		}
	}
	*to = table{true, b.from + int64(header), bits, int64(f.u32())}
	if (to.count*int64(bits)+7)/8 > b.to-to.at {
		return damaged("its table %q is shorter than it says", b.kind)
	}
	return nil
}

// cursor reads a table from its beginning to its end.
type cursor struct {
	table
	w    *window
	next int64
	buf  []byte // entries from next on
}

// cursorBytes is how much is read of a table at once, bytes: a multiple of all sizes of entries.
const cursorBytes = 96 * 128

func (t table) cursor(w *window) cursor { return cursor{table: t, w: w} }

// entry is the next entry; nil at the end.
func (c *cursor) entry() ([]byte, error) {
	if c.next >= c.count {
		return nil, nil
	}
	size := c.bits / 8
	if len(c.buf) < size {
		n := min(int64(cursorBytes/size), c.count-c.next)
		p, err := c.w.at(c.at+c.next*int64(size), int(n)*size)
		if err != nil {
			return nil, eof(err, "of samples")
		}
		c.buf = append(c.buf[:0:0], p...)
	}
	c.next++
	e := c.buf[:size]
	c.buf = c.buf[size:]
	return e, nil
}

// small is the next entry of a table of 4 bits each.
func (c *cursor) small() (uint32, error) {
	p, err := c.w.at(c.at+c.next/2, 1)
	if err != nil {
		return 0, eof(err, "of samples")
	}
	v := p[0] >> 4
	if c.next%2 == 1 {
		v = p[0] & 15
	}
	c.next++
	return uint32(v), nil
}

// number is the next entry of a table of plain numbers; false at the end.
func (c *cursor) number() (uint64, bool, error) {
	if c.bits == 4 && c.next < c.count {
		v, err := c.small()
		return uint64(v), err == nil, err
	}
	e, err := c.entry()
	if e == nil || err != nil {
		return 0, false, err
	}
	switch c.bits {
	case 8:
		return uint64(e[0]), true, nil
	case 16:
		return uint64(binary.BigEndian.Uint16(e)), true, nil
	case 32:
		return uint64(binary.BigEndian.Uint32(e)), true, nil
	}
	return binary.BigEndian.Uint64(e), true, nil
}

// run is the next pair of a table of runs; false at the end.
func (c *cursor) run() (count, value uint32, ok bool, err error) {
	e, err := c.entry()
	if e == nil || err != nil {
		return 0, 0, false, err
	}
	return binary.BigEndian.Uint32(e), binary.BigEndian.Uint32(e[4:]), true, nil
}
