package fmp4

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// video makes the fragments of a video track. The samples go to their place at once: how many there are in a part is known
// before.
type video struct {
	codec codec.Codec
	parts []mpegts.Units

	out         []byte
	ends        []int // of the fragments
	part        int   // the one in hand
	at          int   // where it begins in out
	time        int64 // of its first sample
	samples     []sample
	first, last int64 // DTS
	count       int   // samples so far

	units [][]byte // of the picture in hand
	sets  []byte   // the parameter sets of the first picture, one behind the other
	set   []int    // where each ends
}

// reset begins a segment, which has size bytes of video; its fragments are appended to out.
func (v *video) reset(c codec.Codec, parts []mpegts.Units, size int, out []byte) {
	*v = video{codec: c, parts: parts, out: out, ends: v.ends[:0], samples: v.samples[:0], units: v.units[:0], sets: v.sets[:0], set: v.set[:0]}
	if c == 0 {
		return
	}
	n := 0
	for _, p := range parts {
		n += p.Video
	}
	// A picture loses the header of its PES packet and its delimiter, and gets a row; its NAL units may grow by a byte each.
	v.out = slices.Grow(v.out, size+headSize(true, 0)*len(parts)+(16+8)*n)
	v.begin()
}

// begin leaves room for the head of the part's fragment.
func (v *video) begin() {
	v.at = len(v.out)
	n := headSize(true, v.parts[v.part].Video)
	v.out = slices.Grow(v.out, n)[:v.at+n]
	v.samples = v.samples[:0]
}

// finish ends the fragment in hand: next is the DTS that follows.
func (v *video) finish(sequence uint32, next int64) {
	if n := len(v.samples); n > 0 {
		v.samples[n-1].duration = uint32(max(next-v.last, 1))
	} else {
		v.time = next
	}
	n := headSize(true, len(v.samples))
	appendHead(v.out[v.at:v.at:v.at+n], true, sequence, v.time, v.samples)
	v.ends = append(v.ends, len(v.out))
}

// turn goes on to the part that a picture of a DTS is in.
func (v *video) turn(part int, sequence uint32, next int64) {
	for v.part < part {
		v.finish(sequence+uint32(v.part), next)
		v.part++
		v.begin()
	}
}

// add takes a picture.
func (v *video) add(u *mpegts.Unit, dts int64) error {
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

	var ok bool
	if v.units, ok = split(v.units[:0], u.Data); !ok {
		return fmt.Errorf("%w: a picture without NAL units", mpegts.ErrDamaged)
	}
	before := len(v.out)
	for _, n := range v.units {
		kind := v.codec.NAL(n)
		if kind == codec.KindDelimiter || kind.Set() != 0 && v.known(n) {
			continue
		}
		v.out = append(u32(v.out, uint32(len(n))), n...)
	}
	flags := uint32(nonSync)
	if u.Random || v.codec.Survey(v.units).Access >= codec.Open {
		flags = syncSample
	}
	v.samples = append(v.samples, sample{size: uint32(len(v.out) - before), flags: flags, offset: int32(offset)})
	v.count++
	return nil
}

// maxOffset is the longest time between decoding and presentation that is believed, in ticks.
const maxOffset = 60 * VideoTimescale

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

// end is the DTS at which the segment ends, of a duration in ticks, 0 where it is not known: so that the next one follows to the
// tick. Where that is no time for a picture, the last is as long as the others are.
func (v *video) end(duration int64) int64 {
	typical := duration
	if v.count > 1 {
		typical = (v.last - v.first) / int64(v.count-1)
	}
	if last := v.first + duration - v.last; last > 0 && last <= typical+max(typical/2, VideoTimescale/500) {
		return v.first + duration
	}
	return v.last + max(typical, 1)
}
