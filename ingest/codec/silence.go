package codec

import "bytes"

// Silence returns a silent frame, which is used until a publisher sends audio.
//
// Each of its elements says that it has no spectral data: max_sfb is 0 (ISO/IEC 14496-3 4.4.2.1 to 4.4.2.7).
func (c AACConfig) Silence() []byte {
	var w bitWriter
	var tags [4]uint32 // element_instance_tag, by element
	for _, e := range aacElements[c.ChannelConfig] {
		w.bits(uint32(e), 3)
		w.bits(tags[e], 4)
		tags[e]++
		if e == pairElement {
			w.bits(1, 1)  // common_window
			w.bits(0, 11) // ics_info: one long window, and no scale factor band
			w.bits(0, 2)  // ms_mask_present
			for range 2 {
				w.bits(0, 8) // global_gain
				w.bits(0, 3) // no pulses, no temporal noise shaping, no gain control
			}
			continue
		}
		w.bits(0, 8)
		w.bits(0, 11)
		w.bits(0, 3)
	}
	w.bits(endElement, 3)
	return w.data
}

// element is id_syn_ele (ISO/IEC 14496-3 table 4.85).
type element uint8

const (
	singleElement element = 0
	pairElement   element = 1
	lowElement    element = 3 // low frequency effects
	endElement            = 7
)

// aacElements are the elements of a frame by channelConfiguration (table 1.19).
var aacElements = [8][]element{
	1: {singleElement},
	2: {pairElement},
	3: {singleElement, pairElement},
	4: {singleElement, pairElement, singleElement},
	5: {singleElement, pairElement, pairElement},
	6: {singleElement, pairElement, pairElement, lowElement},
	7: {singleElement, pairElement, pairElement, pairElement, lowElement},
}

// MP3Silence returns a silent frame with the header of another frame, or nil if that header does not state the size. The side information
// says that no channel has data, and there is no checksum before it.
func MP3Silence(frame []byte) []byte {
	h, ok := ParseMP3(frame)
	if !ok || h.Size < 4 {
		return nil
	}
	silence := append(bytes.Clone(frame[:4]), make([]byte, h.Size-4)...)
	silence[1] |= 1
	return silence
}

// bitWriter writes bits, most significant first, and fills the last byte with zeros.
type bitWriter struct {
	data []byte
	free int // bits in the last byte
}

func (w *bitWriter) bits(v uint32, n int) {
	for n--; n >= 0; n-- {
		if w.free == 0 {
			w.data, w.free = append(w.data, 0), 8
		}
		w.free--
		w.data[len(w.data)-1] |= byte(v>>n&1) << w.free
	}
}
