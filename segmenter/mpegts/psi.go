package mpegts

import "encoding/binary"

// PIDs of the one program. Readers take them from the tables; they are fixed so that nothing changes at a cut.
const (
	pidPAT      = 0x0000
	pidVideo    = 0x0100
	pidAudio    = 0x0101
	pidMetadata = 0x0102
	pidPMT      = 0x1000
)

const program = 1 // program_number, and the transport_stream_id too

// stream is one PID with its continuity counter, which runs on across segments.
type stream struct {
	pid    uint16
	cc     uint8 // of the next packet with a payload, 0 to 15
	broken bool  // its next packet has the discontinuity_indicator (2.4.3.5)
}

// header is the first four bytes of the next packet with a payload; flags are or-ed in.
func (s *stream) header(flags uint32) uint32 {
	h := 0x47000010 | uint32(s.pid)<<8 | uint32(s.cc) | flags
	s.cc = (s.cc + 1) & 15
	return h
}

// flags are those of the next packet's adaptation field that the stream itself asks for.
func (s *stream) flags() byte {
	if !s.broken {
		return 0
	}
	s.broken = false
	return discontinuity
}

// Bits of the packet header.
const (
	unitStart  = 1 << 22 // payload_unit_start_indicator
	adaptation = 1 << 5  // an adaptation field comes before the payload
	payload    = 1 << 4
)

// Flags of the adaptation field.
const (
	discontinuity = 0x80 // discontinuity_indicator
	randomAccess  = 0x40 // random_access_indicator
	hasPCR        = 0x10 // PCR_flag
)

// table is a PSI section in its packet, ready but for the counter.
type table struct {
	packet [PacketSize]byte
	stream
}

func (t *table) writeTo(b *Buffer) {
	p := b.Packet()
	if f := t.flags(); f != 0 {
		binary.BigEndian.PutUint32(p, t.header(unitStart|adaptation))
		p[4], p[5] = 1, f
		copy(p[6:], t.packet[4:]) // stuffing falls off
		return
	}
	copy(p, t.packet[:])
	binary.BigEndian.PutUint32(p, t.header(unitStart))
}

// set makes section, which lacks its length and CRC, the content of the table.
func (t *table) set(section []byte) {
	binary.BigEndian.PutUint16(section[1:], 0xB000|uint16(len(section)-3+4))
	p := t.packet[4:]
	p[0] = 0 // pointer_field
	n := 1 + copy(p[1:], section)
	binary.BigEndian.PutUint32(p[n:], SectionCRC(section))
	stuff(p[n+4:])
}

// pat is the section of the program association table (2.4.4.3).
func pat() []byte {
	return []byte{
		0x00, 0, 0, // table_id; length
		0, program, // transport_stream_id
		0xC1, 0, 0, // version 0, current; section 0 of 0
		0, program, 0xE0 | pidPMT>>8, pidPMT & 0xFF,
	}
}

// pmt is the section of the program map table (2.4.4.8).
func pmt(c Config, version uint8) []byte {
	pcr := byte(pidVideo & 0xFF)
	if c.Video == 0 {
		pcr = pidAudio & 0xFF
	}
	s := []byte{
		0x02, 0, 0, // table_id; length
		0, program,
		0xC1 | version<<1, 0, 0,
		0xE0 | pidVideo>>8, pcr,
		0xF0, 0, // no program descriptors
	}
	if c.ID3 {
		s[len(s)-1] = byte(len(metadataPointer))
		s = append(s, metadataPointer...)
	}
	if c.Video != 0 {
		s = append(s, byte(c.Video), 0xE0|pidVideo>>8, pidVideo&0xFF, 0xF0, 0)
	}
	if c.Audio != 0 {
		s = append(s, byte(c.Audio), 0xE0|pidAudio>>8, pidAudio&0xFF, 0xF0, 0)
	}
	if c.ID3 {
		s = append(s, byte(ID3), 0xE0|pidMetadata>>8, pidMetadata&0xFF, 0xF0, byte(len(metadataDescriptor)))
		s = append(s, metadataDescriptor...)
	}
	return s
}

// SectionCRC is the CRC of ISO/IEC 13818-1 annex A, which hash/crc32 does not have: most significant bit first, no final
// inversion. Tables are made once per configuration, so bit by bit will do.
func SectionCRC(data []byte) uint32 {
	crc := ^uint32(0)
	for _, d := range data {
		crc ^= uint32(d) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04C11DB7
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
