package file

import (
	"encoding/binary"
	"errors"
	"io"
)

// box is a box of the file (ISO/IEC 14496-12 4.2).
type box struct {
	kind     string
	from, to int64 // its content
}

// box reads the header of the box at an offset, in something that ends at to. cut says that the box ends behind that, and then
// it is as long as it can be.
func (w *window) box(off, to int64) (b box, cut bool, err error) {
	if to-off < 8 {
		return box{from: to, to: to}, true, nil
	}
	h, err := w.at(off, 8)
	if err != nil {
		return b, false, err
	}
	size := int64(binary.BigEndian.Uint32(h))
	b.kind = string(h[4:8])
	b.from = off + 8
	switch size {
	case 0: // to the end
		b.to = to
		return b, false, nil
	case 1:
		if to-off < 16 {
			b.from, b.to = to, to
			return b, true, nil
		}
		if h, err = w.at(off+8, 8); err != nil {
			return b, false, err
		}
		large := binary.BigEndian.Uint64(h)
		if large > 1<<62 {
			return b, false, damaged("a box of %d bytes at byte %d", large, off)
		}
		size = int64(large)
		b.from += 8
	}
	if size < b.from-off {
		return b, false, damaged("a box at byte %d is shorter than its header", off)
	}
	if b.to = off + size; b.to > to {
		b.to = to
		return b, true, nil
	}
	return b, false, nil
}

// maxBoxes is how many boxes one may have in it: tables are no boxes, and nobody writes more.
const maxBoxes = 4096

// each visits what is in a box, from an offset on. What the last of them lacks is not looked at: it is clipped.
func (w *window) each(from, to int64, fn func(b box) error) error {
	for n := 0; to-from >= 8; n++ {
		if n == maxBoxes {
			return damaged("more than %d boxes in one", maxBoxes)
		}
		b, _, err := w.box(from, to)
		if err != nil {
			return err
		}
		if err := fn(b); err != nil {
			return err
		}
		from = b.to
	}
	return nil
}

// read is the content of a box that is small, a copy.
func (w *window) read(b box, limit int64) ([]byte, error) {
	if b.to-b.from > limit {
		return nil, damaged("a box %q of %d bytes", b.kind, b.to-b.from)
	}
	p, err := w.at(b.from, int(b.to-b.from))
	if err != nil {
		return nil, eof(err, b.kind)
	}
	return append([]byte(nil), p...), nil
}

// dated reads the beginning of a header that says when something was made and changed: mvhd, tkhd, mdhd. What it returns is behind that.
func (w *window) dated(b box) (f fields, version uint8, flags uint32, err error) {
	p, err := w.read(b, maxSmall)
	f = fields{b: p}
	version = f.u8()
	flags = uint32(f.u8())<<16 | uint32(f.u16())
	f.word(version)
	f.word(version)
	return f, version, flags, err
}

// eof is an error of reading, said as one of the file's where that is too short.
func eof(err error, what string) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("its box %q is cut short", what)
	}
	return err
}

// fields reads numbers of a box's content. What is not there is 0, and short.
type fields struct {
	b     []byte
	short bool
}

func (f *fields) skip(n int) {
	if n > len(f.b) {
		f.b, f.short = nil, true
		return
	}
	f.b = f.b[n:]
}

func (f *fields) take(n int) []byte {
	if n > len(f.b) {
		f.b, f.short = nil, true
		return make([]byte, n)
	}
	p := f.b[:n:n]
	f.b = f.b[n:]
	return p
}

func (f *fields) u8() uint8   { return f.take(1)[0] }
func (f *fields) u16() uint16 { return binary.BigEndian.Uint16(f.take(2)) }
func (f *fields) u32() uint32 { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) u64() uint64 { return binary.BigEndian.Uint64(f.take(8)) }

// word is a number of 32 or, in version 1 of a box, 64 bits.
func (f *fields) word(version uint8) int64 {
	if version == 1 {
		return int64(f.u64())
	}
	return int64(f.u32())
}
