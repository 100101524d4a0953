package file

// trex are the defaults of a track's fragments (ISO/IEC 14496-12 8.8.3).
type trex struct{ duration, size, flags uint32 }

// maxFragment bounds the index of a fragment, bytes.
const maxFragment = 16 << 20

// maxRun bounds the samples of a track in a fragment: they need no bytes of the index each.
const maxRun = 1 << 18

// fragments are the samples of a track whose tables are in fragments. Each track walks the file for itself: fragments of one track alone are
// as common as those of all.
type fragments struct {
	t    *Track
	w    *window
	off  int64
	dts  int64
	list []sample
}

// next implements source.
func (f *fragments) next() (sample, bool, error) {
	for len(f.list) == 0 {
		ok, err := f.fragment()
		if !ok || err != nil {
			return sample{}, false, err
		}
	}
	s := f.list[0]
	f.list = f.list[1:]
	return s, true, nil
}

// fragment reads the next fragment, whether it has something of the track or not; false at the end, which is also where the file ends
// within one.
func (f *fragments) fragment() (bool, error) {
	m := f.t.movie
	for {
		b, cut, err := f.w.box(f.off, f.w.size)
		if err != nil {
			return false, err
		}
		if cut {
			m.Cut = m.Cut || f.w.size-f.off > 0
			return false, nil
		}
		off := f.off
		f.off = b.to
		if b.kind != "moof" {
			if b.to >= f.w.size {
				return false, nil
			}
			continue
		}
		// Its media follow; where they are cut, the fragment does not count.
		media, cut, err := f.w.box(b.to, f.w.size)
		if err != nil {
			return false, err
		}
		if cut && (media.kind == "mdat" || f.w.size-b.to < 8) {
			m.Cut = true
			return false, nil
		}
		p, err := f.w.read(b, maxFragment)
		if err != nil {
			return false, err
		}
		return true, f.read(p, off)
	}
}

// each visits the boxes in some bytes.
func each(b []byte, fn func(kind string, body []byte) error) error {
	for len(b) >= 8 {
		f := fields{b: b}
		size, kind := int(f.u32()), string(f.take(4))
		if size < 8 || size > len(b) {
			return damaged("a box %.4q in a fragment has %d bytes", kind, size)
		}
		if err := fn(kind, b[8:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// read reads a moof that lies at an offset.
func (f *fragments) read(moof []byte, off int64) error {
	end := off // of the track fragment before, where data go on
	return each(moof, func(kind string, body []byte) error {
		if kind != "traf" {
			return nil
		}
		d, base, mine, at := trex{}, off, false, end
		return each(body, func(kind string, body []byte) error {
			switch kind {
			case "tfhd":
				h := fields{b: body}
				flags := h.u32() & 0xFFFFFF
				id := h.u32()
				mine, d = id == f.t.ID, f.t.movie.defaults[id]
				if flags&1 != 0 {
					base = int64(h.u64())
					at = base
				} else if flags&0x020000 != 0 || end == off {
					base, at = off, off
				} else {
					base = end
				}
				if flags&2 != 0 {
					h.skip(4)
				}
				for bit, to := range map[uint32]*uint32{8: &d.duration} {
					if flags&bit != 0 {
						*to = h.u32()
					}
				}
				if flags&0x10 != 0 {
					d.size = h.u32()
				}
				if flags&0x20 != 0 {
					d.flags = h.u32()
				}
				if h.short || base < 0 {
					return damaged("the header of a fragment at byte %d cannot be read", off)
				}
			case "tfdt":
				h := fields{b: body}
				version := h.u8()
				h.skip(3)
				if t := h.word(version); mine && !h.short {
					if t < 0 || t > 1<<60 {
						return damaged("the time of a fragment at byte %d", off)
					}
					f.dts = t
				}
			case "senc", "saiz":
				if mine && kind == "senc" {
					return errEncrypted
				}
			case "trun":
				var err error
				at, err = f.run(body, d, base, at, off, mine)
				end = at
				return err
			}
			return nil
		})
	})
}

// run reads a trun. at is where its data go on if it does not say; it returns where they end.
func (f *fragments) run(body []byte, d trex, base, at, off int64, mine bool) (int64, error) {
	h := fields{b: body}
	version := h.u8()
	flags := uint32(h.u8())<<16 | uint32(h.u16())
	n := h.u32()
	if flags&1 != 0 {
		at = base + int64(int32(h.u32()))
	}
	first, special := uint32(0), flags&4 != 0
	if special {
		first = h.u32()
	}
	each := 0
	for _, bit := range []uint32{0x100, 0x200, 0x400, 0x800} {
		if flags&bit != 0 {
			each += 4
		}
	}
	if h.short || int64(n)*int64(each) > int64(len(h.b)) || len(f.list)+int(n) > maxRun || at < 0 {
		return at, damaged("a run of samples in the fragment at byte %d is cut short", off)
	}
	for i := range n {
		s := sample{at: at, duration: int64(d.duration), size: int(d.size)}
		how := d.flags
		if flags&0x100 != 0 {
			s.duration = int64(h.u32())
		}
		if flags&0x200 != 0 {
			s.size = int(h.u32())
		}
		if flags&0x400 != 0 {
			how = h.u32()
		}
		if special && i == 0 {
			how = first
		}
		if flags&0x800 != 0 {
			if v := h.u32(); version == 0 && v < 1<<31 {
				s.offset = int64(v)
			} else {
				s.offset = int64(int32(v))
			}
		}
		if s.size > maxSample {
			return at, damaged("a sample of %d bytes in the fragment at byte %d", s.size, off)
		}
		s.key = how&0x10000 == 0
		at += int64(s.size)
		if mine {
			s.dts = f.dts
			f.dts += s.duration
			f.list = append(f.list, s)
		}
	}
	return at, nil
}
