package file

import "fmt"

// sample is where a sample lies, and when it is decoded and shown, of its track's time scale.
type sample struct {
	at       int64
	size     int
	dts      int64
	offset   int64 // of its PTS from its DTS
	duration int64
	key      bool
}

// source gives the samples of a track in the order of decoding; false at the end.
type source interface {
	next() (sample, bool, error)
}

// listed are the samples of a track whose tables are in the index.
type listed struct {
	t                                            *Track
	times, offsets, chunks, places, sizes, keys  cursor
	left, delta                                  uint32 // of a run of times
	shifts, shift                                uint32 // of a run of offsets
	chunk, nextFirst, perChunk, nextPer, inChunk int64
	place                                        int64
	number                                       int64 // of the sample, from 1 on
	key                                          int64 // number of the next one with which decoding may begin
	dts                                          int64
}

func (t *Track) listed(w *window) (*listed, error) {
	s := &t.tables
	if !s.sizes.there || !s.places.there || !s.chunks.there || !s.times.there {
		if s.sizes.there && s.sizes.count == 0 || !s.sizes.there {
			return &listed{t: t}, nil
		}
		return nil, damaged("track %d lacks a table of its samples", t.ID)
	}
	if s.size > 0 && s.sizes.count > w.size/int64(s.size) {
		return nil, &Error{Truncated, fmt.Sprintf("the file has %d bytes, and track %d alone has %d samples of %d bytes: it is not complete; upload it again", w.size, t.ID, s.sizes.count, s.size)}
	}
	l := &listed{
		t: t, times: s.times.cursor(w), offsets: s.offsets.cursor(w), chunks: s.chunks.cursor(w), places: s.places.cursor(w),
		sizes: s.sizes.cursor(w), keys: s.keys.cursor(w),
	}
	if err := l.run(); err != nil {
		return nil, err
	}
	l.perChunk = 0
	return l, l.nextKey()
}

// run reads ahead the next run of chunks.
func (l *listed) run() error {
	e, err := l.chunks.entry()
	if err != nil {
		return err
	}
	if e == nil {
		l.nextFirst = 1 << 62
		return nil
	}
	f := fields{b: e}
	l.nextFirst, l.nextPer = int64(f.u32()), int64(f.u32())
	if f.u32() != 1 {
		return damaged("track %d changes its coding in the middle", l.t.ID)
	}
	if l.nextPer == 0 || l.nextFirst <= l.chunk && l.chunk > 0 {
		return damaged("track %d has a table of chunks that contradicts itself", l.t.ID)
	}
	return nil
}

func (l *listed) nextKey() error {
	if !l.keys.there {
		return nil
	}
	n, ok, err := l.keys.number()
	if !ok {
		n = 1 << 62
	}
	l.key = int64(n)
	return err
}

// next implements source.
func (l *listed) next() (s sample, ok bool, err error) {
	if l.sizes.bits == 0 {
		if l.number >= l.sizes.count {
			return s, false, nil
		}
		s.size = int(l.t.tables.size)
	} else {
		n, ok, err := l.sizes.number()
		if !ok || err != nil {
			return s, false, err
		}
		s.size = int(n)
	}
	l.number++
	if s.size > maxSample {
		return s, false, damaged("a sample of %d bytes in track %d", s.size, l.t.ID)
	}
	if l.inChunk == 0 {
		if l.chunk++; l.chunk >= l.nextFirst {
			l.perChunk = l.nextPer
			if err := l.run(); err != nil {
				return s, false, err
			}
		}
		at, ok, err := l.places.number()
		if err != nil {
			return s, false, err
		}
		if !ok || l.perChunk == 0 || at > 1<<62 {
			return s, false, damaged("track %d has more samples than places for them", l.t.ID)
		}
		l.place, l.inChunk = int64(at), l.perChunk
	}
	l.inChunk--
	s.at = l.place
	l.place += int64(s.size)
	for l.left == 0 {
		var more bool
		if l.left, l.delta, more, err = l.times.run(); err != nil {
			return s, false, err
		}
		if !more { // the last one's duration goes on
			l.left = 1
		}
	}
	l.left--
	s.dts, s.duration = l.dts, int64(l.delta)
	l.dts += int64(l.delta)
	if l.offsets.there {
		for l.shifts == 0 {
			var more bool
			if l.shifts, l.shift, more, err = l.offsets.run(); err != nil {
				return s, false, err
			}
			if !more {
				l.shifts, l.shift = 1<<31, 0
			}
		}
		l.shifts--
		s.offset = int64(int32(l.shift)) // version 0 has no sign, but QuickTime writes some, and no picture is shown 2^31 units late
	}
	if s.key = !l.keys.there || l.number == l.key; s.key && l.keys.there {
		err = l.nextKey()
	}
	return s, err == nil, err
}
