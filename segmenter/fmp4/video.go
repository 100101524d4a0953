package fmp4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// video makes the fragments of a video track. Pictures go to their place in the output at once. How many samples a fragment has
// shows when it is over: room for its head is left in front, and what is too much of it is taken away, which costs nothing
// where there is one fragment.
type video struct {
	codec codec.Codec

	out   []byte
	from  int   // where the track begins in out
	ends  []int // of the fragments, from there on
	part  int   // the one in hand
	at    int   // where room for its head begins
	media int   // and where its samples do

	time        int64 // of the fragment's first sample
	samples     []sample
	first, last int64 // DTS
	count       int   // samples so far

	unit  mpegts.Unit // the picture in hand
	begin int         // where it begins
	fresh bool        // nothing of it has come
	codes []int       // where its start codes are in out, all of four bytes
	seen  int         // none that is not known begins before here

	units [][]byte // of the picture, as far as they stay
	sets  []byte   // the parameter sets of the first picture, one behind the other
	set   []int    // where each ends
}

// usual is the number of samples that there is room for at first.
const usual = 512

func (v *video) reset(c codec.Codec, out []byte) {
	*v = video{
		codec: c, out: out, from: len(out), ends: v.ends[:0], samples: v.samples[:0], codes: v.codes[:0],
		units: v.units[:0], sets: v.sets[:0], set: v.set[:0],
	}
	if c != 0 {
		v.open()
	}
}

// open leaves room for the head of the part's fragment.
func (v *video) open() {
	n := headSize(true, usual)
	v.at = len(v.out)
	v.out = slices.Grow(v.out, n)[:v.at+n]
	v.media, v.samples = len(v.out), v.samples[:0]
}

// finish ends the fragment in hand: next is the DTS that follows.
func (v *video) finish(sequence uint32, next int64) {
	if n := len(v.samples); n > 0 {
		v.samples[n-1].duration = uint32(max(next-v.last, 1))
	} else {
		v.time = next
	}
	size := headSize(true, len(v.samples))
	head := v.media - size
	switch {
	case head < v.at: // more samples than there is room for
		v.out = slices.Insert(v.out, v.media, make([]byte, v.at-head)...)
		head = v.at
	case len(v.ends) == 0: // the track may as well begin here
		v.from = head
	case head > v.at:
		v.out = append(v.out[:v.at+size], v.out[v.media:]...)
		head = v.at
	}
	appendHead(v.out[head:head:head+size], trackID, true, sequence, v.time, v.samples)
	v.ends = append(v.ends, len(v.out)-v.from)
}

// turn goes on to a part, which begins at a DTS.
func (v *video) turn(part int, sequence uint32, next int64) {
	for v.part < part {
		v.finish(sequence+uint32(v.part), next)
		v.part++
		v.open()
	}
}

// start begins a picture, whose DTS is unwrapped.
func (v *video) start(u *mpegts.Unit, dts int64) error {
	offset := mpegts.Distance(u.DTS, u.PTS)
	switch {
	case v.count > 0 && dts <= v.last:
		return fmt.Errorf("%w: the DTS of its pictures does not rise", mpegts.ErrDamaged)
	case offset > maxOffset || offset < -maxOffset:
		return fmt.Errorf("%w: a picture is shown %d s from where it is decoded", mpegts.ErrDamaged, offset/VideoTimescale)
	}
	if n := len(v.samples); n > 0 {
		v.samples[n-1].duration = uint32(dts - v.last)
	} else {
		v.time = dts
	}
	if v.count == 0 {
		v.first = dts
	}
	v.last = dts
	v.samples = append(v.samples, sample{flags: nonSync, offset: int32(offset)})
	v.unit, v.begin, v.fresh = *u, len(v.out), true
	v.codes, v.seen = v.codes[:0], v.begin
	return nil
}

// maxOffset is the longest time between decoding and presentation that is believed, in ticks.
const maxOffset = 60 * VideoTimescale

// write takes a piece of the picture. A delimiter in front is left out.
func (v *video) write(p []byte) {
	if v.fresh {
		v.fresh = false
		p = p[v.delimiter(p):]
	}
	v.out = append(v.out, p...)
	v.look(len(v.out))
}

// packets takes more of the picture, out of whole packets.
func (v *video) packets(r *mpegts.Run) {
	for {
		v.out = slices.Grow(v.out, r.Bound())
		from := len(v.out)
		n, plain := r.Copy(v.out[from:cap(v.out)])
		if n == 0 {
			return
		}
		v.out = v.out[:from+n]
		v.look(from + 2)
		if !plain {
			v.seen = max(v.seen, len(v.out)-mpegts.PayloadSize-2)
			v.look(len(v.out))
		}
		v.seen = max(v.seen, len(v.out)-2)
	}
}

// look finds the start codes that end before some place in out, and makes all of them four bytes long: then the length of a NAL unit
// has the room that it needs, and most units are in their place. Little has come behind a start code when it is found, so making
// room costs little.
func (v *video) look(to int) {
	for at := codec.NextStartCode(v.out[:to], v.seen); at >= 0; at = codec.NextStartCode(v.out[:to], v.seen) {
		if at == v.begin || v.out[at-1] != 0 {
			v.out = slices.Insert(v.out, at, 0)
			at, to = at+1, to+1
		}
		v.codes = append(v.codes, at-1)
		v.seen = at + 3
	}
	v.seen = max(v.seen, to-2)
}

// delimiter is the length of the access unit delimiter that p begins with, its start code included; 0 where there is none, or
// no start code behind it.
func (v *video) delimiter(p []byte) int {
	n := codec.StartCode(p)
	if n == 0 || v.codec.NAL(p[n:]) != codec.KindDelimiter {
		return 0
	}
	if n += 2; v.codec == codec.H265 {
		n++
	}
	if n > len(p) || codec.StartCode(p[n:]) == 0 {
		return 0
	}
	return n
}

// end ends the picture in hand: its NAL units get their lengths, and move where something before them is left out.
func (v *video) end() error {
	if len(v.codes) == 0 || len(bytes.Trim(v.out[v.begin:v.codes[0]], "\x00")) > 0 {
		return fmt.Errorf("%w: a picture without NAL units", mpegts.ErrDamaged)
	}
	b, to := v.out, v.begin
	v.units = v.units[:0]
	for i, at := range v.codes {
		end := len(b)
		if i+1 < len(v.codes) {
			end = v.codes[i+1]
		}
		u := bytes.TrimRight(b[at+4:end], "\x00") // zeros before a start code belong to it or are trailing (B.1.1)
		switch kind := v.codec.NAL(u); {
		case kind == codec.KindEmpty, kind == codec.KindDelimiter, kind.Set() != 0 && v.known(u):
			continue
		}
		binary.BigEndian.PutUint32(b[to:], uint32(len(u)))
		to += 4
		if to != at+4 {
			copy(b[to:], u)
		}
		v.units = append(v.units, b[to:to+len(u)])
		to += len(u)
	}
	v.out = b[:to]
	v.done()
	return nil
}

// done fills the picture's row.
func (v *video) done() {
	s := &v.samples[len(v.samples)-1]
	s.size = uint32(len(v.out) - v.begin)
	if v.unit.Random || v.codec.Survey(v.units).Access >= codec.Open {
		s.flags = syncSample
	}
	v.count++
}

// known reports whether the init segment has a parameter set: those of the first picture are in it. A set that is another is left
// where it is, for decoders that look there.
func (v *video) known(set []byte) bool {
	from := 0
	for _, to := range v.set {
		if bytes.Equal(v.sets[from:to], set) {
			return true
		}
		from = to
	}
	if v.count > 0 {
		return false
	}
	v.sets = append(v.sets, set...)
	v.set = append(v.set, len(v.sets))
	return true
}

// over is the DTS at which the segment ends, of a duration in ticks, 0 where it is not known: so that the next one follows to the
// tick. Where that is no time for a picture, the last is as long as the others are.
func (v *video) over(duration int64) int64 {
	typical := duration
	if v.count > 1 {
		typical = (v.last - v.first) / int64(v.count-1)
	}
	if last := v.first + duration - v.last; last > 0 && last <= typical+max(typical/2, VideoTimescale/500) {
		return v.first + duration
	}
	return v.last + max(typical, 1)
}
