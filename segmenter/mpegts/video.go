package mpegts

// VideoUnit is one coded picture. Nothing of it is kept.
type VideoUnit struct {
	// PTS and DTS are 90 kHz ticks on a time line that does not wrap. DTS rises from unit to unit and is not after PTS;
	// the muxer relies on it for nothing but the order of its own PCRs.
	PTS, DTS int64
	// Units are the NAL units, without start codes. Empty ones and access unit delimiters are left out.
	Units [][]byte
	// IDR marks a random access point.
	IDR bool
	// ParameterSets are the VPS, SPS and PPS that an IDR gets where it does not bring its own, and so does the first unit of
	// a segment, IDR or not: without them nobody could join a stream of gradual refresh. They may always be given.
	ParameterSets [][]byte
}

// Video writes an access unit to b: one access unit delimiter, parameter sets where a decoder may begin, and the NAL units
// as they came. A unit without content is dropped and counted.
func (m *Muxer) Video(b *Buffer, v VideoUnit) {
	codec := m.config.Video
	set, some := surveyUnits(codec, v.Units)
	if codec == 0 || !some {
		m.stats.VideoDropped.Add(1)
		return
	}
	if p := &m.pending; p.frames > 0 && p.buffer == b && v.DTS-p.pts > audioHold && !m.opens(b) {
		m.FlushAudio(b) // before the PCR goes past it
	}
	entry := v.IDR || m.opens(b)
	k := m.tick(b, &m.video, v.DTS, false)
	m.clock.dts, m.clock.video, m.clock.heard = v.DTS, true, false

	m.out.start(b, &m.video, v.IDR, k)
	var head [maxPESHeader + 7]byte
	h := appendPESHeader(head[:0], 0xE0, -1, v.PTS, v.DTS)
	if codec == H264 {
		h = append(h, 0, 0, 0, 1, 0x09, 0xF0) // any slice type may follow
	} else {
		h = append(h, 0, 0, 0, 1, 0x46, 0x01, 0x50)
	}
	m.out.write(h)
	if entry && set != allSets(codec) && len(v.ParameterSets) > 0 {
		m.writeSets(codec, set, v)
	} else {
		for _, u := range v.Units {
			m.writeUnit(u, kindOf(codec, u))
		}
	}
	m.out.end()
	if k.rest {
		m.clock.catchUp(b, &m.video, k.to)
	}
	b.CRC32C()
}

// unitKind is what the muxer needs to know of a NAL unit. Kinds of parameter sets are bits, in the order in which a
// decoder needs them.
type unitKind uint8

const (
	unitVPS   unitKind = 1 << iota // H.265 only
	unitSPS                        // refers to a VPS
	unitPPS                        // refers to an SPS
	unitOther                      // goes to the stream as it is
	unitNone                       // does not: empty, or an access unit delimiter
)

const parameterSet = unitVPS | unitSPS | unitPPS

// kindOf reads a NAL unit's type (ISO/IEC 14496-10 table 7-1, ISO/IEC 23008-2 table 7-1).
func kindOf(codec StreamType, u []byte) unitKind {
	if len(u) == 0 {
		return unitNone
	}
	if codec == H264 {
		switch u[0] & 0x1F {
		case 7:
			return unitSPS
		case 8:
			return unitPPS
		case 9:
			return unitNone
		}
		return unitOther
	}
	switch u[0] >> 1 & 0x3F {
	case 32:
		return unitVPS
	case 33:
		return unitSPS
	case 34:
		return unitPPS
	case 35:
		return unitNone
	}
	return unitOther
}

// allSets is what no decoder can begin without.
func allSets(codec StreamType) unitKind {
	if codec == H264 {
		return unitSPS | unitPPS
	}
	return parameterSet
}

// surveyUnits tells which parameter sets are among units, and whether there is anything to write at all.
func surveyUnits(codec StreamType, units [][]byte) (sets unitKind, some bool) {
	for _, u := range units {
		if k := kindOf(codec, u); k != unitNone {
			sets |= k & parameterSet
			some = true
		}
	}
	return sets, some
}

// writeSets writes a unit that lacks some of its parameter sets. Each kind comes from the unit itself where it has it, in
// the order of reference: a PPS put before the SPS that it refers to would be lost.
func (m *Muxer) writeSets(codec StreamType, has unitKind, v VideoUnit) {
	for kind := unitVPS; kind <= unitPPS; kind <<= 1 {
		from := v.ParameterSets
		if has&kind != 0 {
			from = v.Units
		}
		for _, u := range from {
			if kindOf(codec, u) == kind {
				m.writeUnit(u, kind)
			}
		}
	}
	for _, u := range v.Units {
		if kindOf(codec, u) == unitOther {
			m.writeUnit(u, unitOther)
		}
	}
}

// writeUnit writes a NAL unit with its start code, which is the long one for parameter sets (ISO/IEC 14496-10 B.1.2); the
// delimiter, which is first, has it already.
func (m *Muxer) writeUnit(u []byte, kind unitKind) {
	code := [4]byte{0, 0, 0, 1}
	switch {
	case kind == unitNone:
		return
	case kind&parameterSet != 0:
		m.out.write(code[:])
	default:
		m.out.write(code[1:])
	}
	m.out.write(u)
}
