package codec

import (
	"fmt"
	"slices"
)

// speakers is the layout of a program config element (ISO/IEC 14496-3 4.4.1.1): for each place its elements in order, 1 for a single
// channel and 2 for a pair.
type speakers struct {
	front, side, back string
	lfe               int
}

// String returns how many channels there are at each place.
func (s speakers) String() string {
	count := func(place string) (n int) {
		for _, e := range place {
			n += int(e - '0')
		}
		return n
	}
	return fmt.Sprintf("%d front, %d side, %d back, %d LFE channels", count(s.front), count(s.side), count(s.back), s.lfe)
}

// aacLayouts are the layouts of channelConfiguration 1 to 7 (ISO/IEC 14496-3 table 1.19). Decoders identify speakers by the order of
// elements.
var aacLayouts = [...]speakers{
	{front: "1"},
	{front: "2"},
	{front: "12"},
	{front: "12", back: "1"},
	{front: "12", back: "2"},
	{front: "12", back: "2", lfe: 1},
	{front: "122", back: "2", lfe: 1},
}

// channelConfig returns the channelConfiguration with the same elements for the same speakers, or 0 if there is none. The surround channels
// may be at the side, as in film, or at the back.
func (s speakers) channelConfig() int {
	s.back, s.side = s.side+s.back, ""
	return slices.Index(aacLayouts[:], s) + 1
}

// programConfig reads a program_config_element up to its channels.
func (r *bitReader) programConfig() (s speakers) {
	r.skip(4 + 2 + 4) // element_instance_tag, object_type, sampling_frequency_index
	front, side, back, lfe, assoc, coupling := r.bits(4), r.bits(4), r.bits(4), r.bits(2), r.bits(3), r.bits(4)
	for _, n := range []int{4, 4, 3} { // mono, stereo and matrix mixdown
		if r.bits(1) == 1 {
			r.skip(n)
		}
	}
	place := func(elements uint32) string {
		var order []byte
		for range elements {
			order = append(order, '1'+byte(r.bits(1))) // is_cpe
			r.skip(4)
		}
		return string(order)
	}
	s.front, s.side, s.back, s.lfe = place(front), place(side), place(back), int(lfe)
	r.skip(int(4*lfe + 4*assoc + 5*coupling))
	return s
}
