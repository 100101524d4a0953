package mpegts

import "github.com/hlsorigin/hlsorigin/ingest/codec"

// VideoUnit is one coded picture. Nothing of it is kept.
type VideoUnit struct {
	// PTS and DTS are 90 kHz ticks on a time line that does not wrap. DTS rises from unit to unit and is not after PTS;
	// the muxer relies on it for nothing but the order of its own PCRs.
	PTS, DTS int64
	// Units are the NAL units, without start codes. Empty ones and access unit delimiters are left out.
	Units [][]byte
	// Survey is what codec.Survey says of Units, where the caller has asked it already. The zero value is always right: the
	// muxer asks itself.
	Survey codec.Survey
	// IDR marks a random access point.
	IDR bool
	// ParameterSets are the VPS, SPS and PPS that an IDR gets where it does not bring its own, and so does the first unit of
	// a segment, IDR or not: without them nobody could join a stream of gradual refresh. They may always be given.
	ParameterSets [][]byte
}

// Video writes an access unit to b: one access unit delimiter, parameter sets where a decoder may begin, and the NAL units
// as they came. A unit without content is dropped and counted.
func (m *Muxer) Video(b *Buffer, v VideoUnit) {
	if m.codec != 0 && !v.Survey.Content {
		v.Survey = m.codec.Survey(v.Units)
	}
	if m.codec == 0 || !v.Survey.Content {
		m.stats.VideoDropped.Add(1)
		return
	}
	c := &m.clock
	if m.pending.frames > 0 && m.pending.buffer == b && v.DTS-c.audio.other > audioHold && !m.opens(b) {
		m.FlushAudio(b) // it holds the PCR back
	}
	if c.step = 0; c.video.seen {
		c.step = v.DTS - c.video.at
	}
	c.came(&c.video, &c.audio, v.DTS)
	entry := v.IDR || m.opens(b) || m.part == b
	if m.part == b {
		m.part = nil
	}
	k := m.tick(b, &m.video, v.DTS, false)

	m.out.start(b, &m.video, v.IDR, k)
	var head [maxPESHeader + 7]byte
	h := appendPESHeader(head[:0], 0xE0, -1, v.PTS, v.DTS)
	if m.codec == codec.H264 {
		h = append(h, 0, 0, 0, 1, 0x09, 0xF0) // any slice type may follow
	} else {
		h = append(h, 0, 0, 0, 1, 0x46, 0x01, 0x50)
	}
	m.out.write(h)
	if needed := m.codec.NeededSets(); entry && v.Survey.Sets&needed != needed && len(v.ParameterSets) > 0 {
		m.writeSets(&v)
	} else {
		for _, u := range v.Units {
			m.writeUnit(u, m.codec.NAL(u))
		}
	}
	m.out.end()
	if k.rest {
		c.catchUp(b, &m.video, k.to)
	}
	b.CRC32C()
}

// writeSets writes a unit that lacks some of its parameter sets. Each kind comes from the unit itself where it has it, in
// the order of reference: a PPS put before the SPS that it refers to would be lost.
func (m *Muxer) writeSets(v *VideoUnit) {
	for _, kind := range [...]codec.Kind{codec.KindVPS, codec.KindSPS, codec.KindPPS} {
		from := v.ParameterSets
		if v.Survey.Sets&kind.Set() != 0 {
			from = v.Units
		}
		for _, u := range from {
			if m.codec.NAL(u) == kind {
				m.writeUnit(u, kind)
			}
		}
	}
	for _, u := range v.Units {
		if kind := m.codec.NAL(u); kind.Set() == 0 {
			m.writeUnit(u, kind)
		}
	}
}

// writeUnit writes a NAL unit with its start code, which is the long one for parameter sets (ISO/IEC 14496-10 B.1.2); the
// delimiter, which is first, has it already.
func (m *Muxer) writeUnit(u []byte, kind codec.Kind) {
	code := [4]byte{0, 0, 0, 1}
	switch {
	case kind == codec.KindEmpty, kind == codec.KindDelimiter:
		return
	case kind.Set() != 0:
		m.out.write(code[:])
	default:
		m.out.write(code[1:])
	}
	m.out.write(u)
}
