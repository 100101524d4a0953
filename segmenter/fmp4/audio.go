package fmp4

import (
	"fmt"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// audio makes the fragments of an AAC track.
type audio struct {
	there  bool
	config codec.AACConfig // Rate is 0 before the first frame

	out     []byte
	ends    []int // of the fragments
	part    int   // the one in hand
	media   []byte
	samples []sample
	time    int64 // of its first sample, in samples
	next    int64 // after its last one

	packet []byte // the PES packet in hand
	pts    int64
}

func (a *audio) reset(there bool) {
	*a = audio{there: there, out: a.out[:0], ends: a.ends[:0], media: a.media[:0], samples: a.samples[:0], packet: a.packet[:0]}
}

// finish ends the fragment in hand.
func (a *audio) finish(sequence uint32) {
	if len(a.samples) == 0 {
		a.time = a.next
	}
	if a.config.Rate == 0 {
		a.out = appendNothing(a.out)
	} else {
		a.out = append(appendHead(a.out, trackID, false, sequence, a.time, a.samples), a.media...)
	}
	a.ends = append(a.ends, len(a.out))
	a.media, a.samples = a.media[:0], a.samples[:0]
}

// turn goes on to a part.
func (a *audio) turn(part int, sequence uint32) {
	for ; a.part < part; a.part++ {
		a.finish(sequence + uint32(a.part))
	}
}

// start begins a PES packet, whose PTS is unwrapped.
func (a *audio) start(pts int64) { a.pts, a.packet = pts, a.packet[:0] }

// end takes the frames of the PES packet in hand.
func (a *audio) end() error {
	for b, first := a.packet, true; len(b) > 0; first = false {
		c, frame, ok := codec.ParseADTS(b)
		switch {
		case !ok:
			return fmt.Errorf("%w: audio without a frame of AAC", mpegts.ErrDamaged)
		case a.config.Rate == 0:
			a.config = c
			a.next = scale(a.pts, c.Rate)
		case a.config != c:
			return fmt.Errorf("%w: its audio changes in the middle", mpegts.ErrDamaged)
		}
		if first {
			a.place(scale(a.pts, c.Rate))
		}
		if len(a.samples) == 0 {
			a.time = a.next
		}
		a.media = append(a.media, frame...)
		a.samples = append(a.samples, sample{duration: codec.AACSamples, size: uint32(len(frame))})
		a.next += codec.AACSamples
		size := codec.ADTSSize + len(frame)
		if b[1]&1 == 0 { // with a checksum
			size += 2
		}
		b = b[size:]
	}
	return nil
}

// place heeds the time of a PES packet. Encoders round to milliseconds; half a frame tells that from a frame that is missing,
// and then the one before lasts until here.
func (a *audio) place(at int64) {
	drift := at - a.next
	if -codec.AACSamples/2 <= drift && drift <= codec.AACSamples/2 {
		return
	}
	if n := len(a.samples); n > 0 {
		last := int64(a.samples[n-1].duration) + drift
		if last < 1 || last > maxPause*int64(a.config.Rate) {
			return
		}
		a.samples[n-1].duration = uint32(last)
	}
	a.next = at
}

// maxPause is the longest pause in the audio of a segment that is believed, in seconds.
const maxPause = 24 * 3600

// scale is a time of 90 kHz ticks in samples, rounded.
func scale(ticks int64, rate int) int64 {
	seconds, rest := ticks/VideoTimescale, ticks%VideoTimescale
	return seconds*int64(rate) + (rest*int64(rate)+VideoTimescale/2)/VideoTimescale
}
