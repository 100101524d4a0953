package normalise

import (
	"bytes"
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// maxSets bounds how many parameter sets of one kind a track keeps.
const maxSets = 16

// sets holds the parameter sets of a video track, and the Track made from them.
type sets struct {
	header codec.Video // the newest sequence header, to recognise a repeated one
	config codec.Video // in use
	made   *ingest.Track
	found  [3][][]byte // VPS, SPS, PPS of one access unit; not kept
}

// use starts over with a codec, if it is a different one.
func (s *sets) use(c ingest.Codec) {
	if s.config.Codec != c {
		*s = sets{config: codec.Video{Codec: c}}
	}
}

// usable reports whether the sets are enough for a decoder.
func (s *sets) usable() bool { return s.config.Complete() }

// known reports whether a header is the same as the previous one.
func (s *sets) known(v *codec.Video) bool {
	return s.header.Codec == v.Codec && s.header.Same(v) && slices.EqualFunc(s.header.PPS, v.PPS, bytes.Equal)
}

// announce takes the sets of a header that says something new.
func (s *sets) announce(v *codec.Video) {
	s.use(v.Codec)
	if s.known(v) {
		return
	}
	s.header = codec.Video{Codec: v.Codec, VPS: cloneAll(v.VPS), SPS: cloneAll(v.SPS), PPS: cloneAll(v.PPS)}
	if v.Complete() {
		s.replace(s.header)
	} else {
		s.learn(s.header.Sets())
	}
}

// learn takes the parameter sets from the units of an access unit. Known ones change nothing.
func (s *sets) learn(units [][]byte) {
	for i := range s.found {
		s.found[i] = s.found[i][:0]
	}
	for _, u := range units {
		switch s.config.Codec.NAL(u) {
		case codec.KindVPS:
			s.found[0] = appendSet(s.found[0], u)
		case codec.KindSPS:
			s.found[1] = appendSet(s.found[1], u)
		case codec.KindPPS:
			s.found[2] = appendSet(s.found[2], u)
		}
	}
	c := &s.config
	vps, sps, pps := s.found[0], s.found[1], s.found[2]
	newVPS, newSPS, newPPS := !subset(vps, c.VPS), !subset(sps, c.SPS), !subset(pps, c.PPS)
	if !newVPS && !newSPS && !newPPS {
		return
	}
	next := codec.Video{Codec: c.Codec, VPS: c.VPS, SPS: c.SPS, PPS: c.PPS}
	if newVPS {
		next.VPS = cloneAll(vps)
	}
	if newSPS {
		next.SPS = cloneAll(sps)
	}
	switch {
	case newPPS && newSPS:
		next.PPS = cloneAll(pps)
	case newPPS:
		// Picture parameter sets may come one by one. Those with the same number replace one another. If the number cannot be read, the new
		// ones are added: an encoder sends all of them again with its next SPS.
		next.PPS = slices.Concat(slices.DeleteFunc(slices.Clone(c.PPS), func(old []byte) bool {
			return slices.ContainsFunc(pps, func(n []byte) bool { return sameNumber(old, n, c.Codec) })
		}), cloneAll(pps))
		next.PPS = next.PPS[max(0, len(next.PPS)-maxSets):]
	}
	s.replace(next)
}

// replace puts a configuration into use, unless it is worse than the current one: unreadable, perhaps because of a loss on the way.
func (s *sets) replace(next codec.Video) {
	err := next.Describe()
	if s.usable() && (!next.Complete() || err != nil && s.config.Width > 0) {
		return
	}
	s.config, s.made = next, nil
}

// track returns the Track of the configuration in use, or nil if there is none. c is what is known about the audio.
func (s *sets) track(h *Hints, c company) *ingest.Track {
	if !s.usable() {
		return nil
	}
	v := &s.config
	t := &ingest.Track{
		Codec: v.Codec, VPS: v.VPS, SPS: v.SPS, PPS: v.PPS, Width: v.Width, Height: v.Height, FrameRate: v.FrameRate,
		Bitrate: h.VideoBitrate, KeyframeInterval: h.KeyframeInterval, Alone: c == alone, Both: c == expected,
	}
	if t.Width == 0 {
		t.Width, t.Height = h.Width, h.Height
	}
	if t.FrameRate == 0 {
		t.FrameRate = h.FrameRate
	}
	s.made = t
	return t
}

func appendSet(sets [][]byte, u []byte) [][]byte {
	if len(sets) == maxSets || slices.ContainsFunc(sets, func(s []byte) bool { return bytes.Equal(s, u) }) {
		return sets
	}
	return append(sets, u)
}

func subset(sets, of [][]byte) bool {
	for _, s := range sets {
		if !slices.ContainsFunc(of, func(o []byte) bool { return bytes.Equal(o, s) }) {
			return false
		}
	}
	return true
}

// cloneAll copies sets: the message they are part of may be large, and is borrowed.
func cloneAll(sets [][]byte) (c [][]byte) {
	for _, s := range sets {
		c = append(c, bytes.Clone(s))
	}
	return c
}

// sameNumber reports whether two picture parameter sets have the same pic_parameter_set_id, with which they begin.
func sameNumber(a, b []byte, c ingest.Codec) bool {
	head := 1
	if c == ingest.H265 {
		head = 2
	}
	return len(a) > head && len(b) > head && leadingUE(a[head]) == leadingUE(b[head])
}

// leadingUE returns an Exp-Golomb number that starts at the beginning of a byte and fits in it; larger ones are all 255.
func leadingUE(b byte) int {
	zeros := 0
	for ; zeros < 4 && b&(0x80>>zeros) == 0; zeros++ {
	}
	if zeros == 4 {
		return 255
	}
	return int(b>>(7-2*zeros)) - 1
}
