package fmp4

import (
	"bytes"
	"math"
	"slices"
)

// reel is a track of a Movie. Times are in units of its time scale, from the file's beginning on.
type reel struct {
	id     uint32
	moving bool // it is video

	header  header // of its first sample entry
	entries [][]byte
	entry   int // the one in force
	rate    int // of the segment in hand; 0 before the first

	begun bool
	first int64 // when the first sample is decoded
	end   int64 // when the last one ends

	// The tables; a fragmented file has none.
	sizes     []uint32
	durations []run // without the last sample's
	offsets   []run
	sync      []uint32 // by number, from 1 on
	chunks    []chunk
	last      uint32 // the last sample's duration
}

// run is n samples of the same value.
type run struct{ n, value uint32 }

// chunk is samples that lie together in the file.
type chunk struct {
	at    int64
	n     uint32
	entry int
}

// changes reports whether an entry, as far as it is known, is another than the one in force.
func (r *reel) changes(e *entry) bool {
	return e.text != nil && (r.rate == 0 || !bytes.Equal(e.text, r.entries[r.entry]))
}

// take puts an entry in force, as far as it is known.
func (r *reel) take(e *entry) {
	if e.text == nil {
		return
	}
	if r.rate == 0 {
		r.header = e.header
		r.header.id = r.id
	}
	r.rate = e.header.timescale
	r.entry = slices.IndexFunc(r.entries, func(b []byte) bool { return bytes.Equal(b, e.text) })
	if r.entry < 0 {
		r.entry, r.entries = len(r.entries), append(r.entries, e.text)
	}
}

// ticks is a time in 90 kHz ticks.
func (r *reel) ticks(units int64) int64 {
	if r.rate == 0 {
		return 0
	}
	return rescale(units, r.header.timescale, VideoTimescale)
}

// rescale is a time in units of another time scale, rounded.
func rescale(t int64, from, to int) int64 {
	whole, rest := t/int64(from), t%int64(from)
	return whole*int64(to) + (rest*int64(to)+int64(from)/2)/int64(from)
}

// reach says when the next samples are decoded: the last one lasts until then. Where it cannot, they follow it, and those after
// them make up for it.
func (r *reel) reach(at int64) {
	if !r.begun {
		r.begun, r.first, r.end = true, at, at
		return
	}
	drift := at - r.end
	if one := int64(r.header.timescale / 1000); -one <= drift && drift <= one {
		return // time stamps are rounded
	}
	if lasts := int64(r.last) + drift; lasts >= 1 && lasts <= math.MaxInt32 {
		r.last, r.end = uint32(lasts), at
	}
}

// note enters the samples of a fragment, whose media lies at an offset of the file; 0: in a fragment of the file.
func (r *reel) note(f *fragment, at int64) {
	if at > 0 {
		r.chunks = append(r.chunks, chunk{at, uint32(len(f.samples)), r.entry})
	}
	for i := range f.samples {
		s := &f.samples[i]
		lasts := uint32(max(rescale(int64(s.duration), r.rate, r.header.timescale), 1))
		if at > 0 {
			if len(r.sizes) > 0 {
				r.durations = extend(r.durations, r.last)
			}
			r.sizes = append(r.sizes, s.size)
			r.offsets = extend(r.offsets, uint32(s.offset))
			if s.flags == syncSample {
				r.sync = append(r.sync, uint32(len(r.sizes)))
			}
		}
		r.last = lasts
		r.end += int64(lasts)
	}
}

// extend appends a value to runs.
func extend(runs []run, value uint32) []run {
	if n := len(runs); n > 0 && runs[n-1].value == value {
		runs[n-1].n++
		return runs
	}
	return append(runs, run{1, value})
}

// offset is how long after its decoding the first sample is presented.
func (r *reel) offset() int64 {
	if len(r.offsets) == 0 {
		return 0
	}
	return int64(int32(r.offsets[0].value))
}

// presented is when the first sample is, in ticks.
func (r *reel) presented() int64 { return r.ticks(r.first + r.offset()) }

// delay is how long after a time in ticks the track begins, and milliseconds how long it lasts.
func (r *reel) delay(zero int64) uint32 {
	return uint32(rescale(r.presented()-zero, VideoTimescale, 1000))
}
func (r *reel) milliseconds() uint32 { return uint32(rescale(r.end-r.first, r.header.timescale, 1000)) }

// append appends the track; zero is when the file begins, in ticks.
func (r *reel) append(b []byte, zero int64) []byte {
	h := r.header
	h.lasts, h.shown = r.end-r.first, r.delay(zero)+r.milliseconds()
	if delay, offset := r.delay(zero), max(r.offset(), 0); delay > 0 || offset > 0 {
		h.edits = func(b []byte) []byte { return appendEdits(b, delay, r.milliseconds(), offset) }
	}
	h.tables = r.tables
	return appendTrack(b, &h, uint32(len(r.entries)), func(b []byte) []byte { return append(b, bytes.Join(r.entries, nil)...) })
}

// appendEdits appends an edit list: nothing for delay, then the media from an offset on for what it lasts, milliseconds.
func appendEdits(b []byte, delay, lasts uint32, offset int64) []byte {
	b, edts := open(b, "edts")
	b, at := openFull(b, "elst", 0, 0)
	if delay > 0 {
		b = u32(u32(u32(u32(b, 2), delay), math.MaxUint32), 1<<16)
	} else {
		b = u32(b, 1)
	}
	b = u32(u32(u32(b, lasts), uint32(offset)), 1<<16)
	return end(end(b, at), edts)
}

// tables appends the tables of samples (ISO/IEC 14496-12 8.6, 8.7).
func (r *reel) tables(b []byte) []byte {
	b = appendRuns(b, "stts", 0, extend(slices.Clone(r.durations), r.last))
	if len(r.offsets) > 1 || r.offset() != 0 {
		b = appendRuns(b, "ctts", 1, r.offsets)
	}
	var at int
	if len(r.sync) < len(r.sizes) {
		b, at = openFull(b, "stss", 0, 0)
		b = u32(b, uint32(len(r.sync)))
		for _, n := range r.sync {
			b = u32(b, n)
		}
		b = end(b, at)
	}
	b, at = openFull(b, "stsc", 0, 0)
	rows := len(b)
	b = u32(b, 0)
	n := uint32(0)
	for i, c := range r.chunks {
		if i == 0 || c.n != r.chunks[i-1].n || c.entry != r.chunks[i-1].entry {
			b = u32(u32(u32(b, uint32(i+1)), c.n), uint32(c.entry+1))
			n++
		}
	}
	u32(b[:rows], n)
	b = end(b, at)
	b, at = openFull(b, "stsz", 0, 0)
	b = u32(u32(b, 0), uint32(len(r.sizes)))
	for _, size := range r.sizes {
		b = u32(b, size)
	}
	b = end(b, at)
	b, at = openFull(b, "co64", 0, 0)
	b = u32(b, uint32(len(r.chunks)))
	for _, c := range r.chunks {
		b = u64(b, uint64(c.at))
	}
	return end(b, at)
}

func appendRuns(b []byte, name string, version byte, runs []run) []byte {
	b, at := openFull(b, name, version, 0)
	b = u32(b, uint32(len(runs)))
	for _, r := range runs {
		b = u32(u32(b, r.n), r.value)
	}
	return end(b, at)
}
