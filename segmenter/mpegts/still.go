package mpegts

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// stillGroup is the number of packets of each PID that the counters need to come round: what has a multiple of it fits in
// anywhere, and what follows need not know of it.
const stillGroup = 16

// Still writes to dst what stands in the place of a segment that was lost: the tables and the first PES packet of each track
// of a segment, delay ticks of 90 kHz later. A player that was never told of gaps, or ignores them, goes
// on over it: it is given time stamps of the place where it is, and something to decode at them.
//
// The continuity counters go on from the end of the segment, and come round: as many stills as there are lost segments may
// stand between it and the one that follows. false says that the segment has none to make one of.
func Still(dst, segment *Buffer, delay int64) bool {
	r := newStillReader()
	for _, part := range segment.Slices(nil) {
		for at := 0; at+PacketSize <= len(part); at += PacketSize {
			r.packet(part[at : at+PacketSize])
		}
	}
	if !r.units[2].ok && !r.units[3].ok {
		return false
	}
	for i := range r.units {
		if u := &r.units[i]; u.ok {
			u.write(dst, r.pids()[i], delay)
		}
	}
	return true
}

// stillReader collects the first unit of each PID of a segment: of the tables, the picture and the sound.
type stillReader struct {
	units  [4]stillUnit
	tables scanner // which PIDs those are: not all segments are our Muxer's
}

func newStillReader() stillReader { return stillReader{tables: scanner{pmt: -1}} }

// pids are those of the units, of which the last three are below 0 where they are not known.
func (r *stillReader) pids() (all [4]int) {
	all = [4]int{pidPAT, r.tables.pmt, -1, -1}
	if v := &r.tables.Video; v.Type != 0 {
		all[2] = int(v.pid)
	}
	if a := &r.tables.Audio; a.Type != 0 {
		all[3] = int(a.pid)
	}
	return all
}

// stillUnit is the first section or PES packet of a PID.
type stillUnit struct {
	ok, done bool
	data     []byte // its payload
	pcr      int64
	hasPCR   bool
	access   bool  // random_access_indicator
	cc       uint8 // of the newest packet of the PID
}

// unit is that of a PID; nil: of another.
func (r *stillReader) unit(pid uint16) *stillUnit {
	for i, p := range r.pids() {
		if p == int(pid) {
			return &r.units[i]
		}
	}
	return nil
}

func (r *stillReader) packet(p []byte) {
	h := binary.BigEndian.Uint32(p)
	u := r.unit(uint16(h>>8) & 0x1FFF)
	if u == nil || h>>24 != 0x47 || h&payload == 0 {
		return
	}
	if u == &r.units[0] || u == &r.units[1] {
		r.tables.packet(p)
	}
	u.cc = uint8(h & 15)
	first := h&unitStart != 0
	if u.done = u.done || u.ok && first; u.done || !first && !u.ok {
		return
	}
	at := 4
	if h&adaptation != 0 {
		at += 1 + int(p[4])
		if at > PacketSize {
			return
		}
		if first && p[4] > 0 {
			u.access = p[5]&randomAccess != 0
			if u.hasPCR = p[5]&hasPCR != 0 && p[4] >= 7; u.hasPCR {
				u.pcr = int64(binary.BigEndian.Uint32(p[6:]))<<1 | int64(p[10]>>7)
			}
		}
	}
	u.ok = true
	u.data = append(u.data, p[at:]...)
}

// write writes the unit with a multiple of stillGroup packets.
func (u *stillUnit) write(dst *Buffer, pid int, delay int64) {
	s := stream{pid: uint16(pid), cc: (u.cc + 1) & 15}
	if !u.pes() {
		for range stillGroup {
			p := dst.Packet()
			binary.BigEndian.PutUint32(p, s.header(unitStart))
			stuff(p[4+copy(p[4:], u.data):])
		}
		return
	}
	const (
		room  = PacketSize - 4
		first = PacketSize - 12 // beside a PCR
	)
	data := padded(u.data, maxPESHeader+stillGroup)
	restamp(data, delay)
	var k tick
	if u.hasPCR {
		k = tick{has: true, pcr: u.pcr + delay - Offset}
	}
	n := 1 + (max(len(data)-first, 0)+room-1)/room
	n = (n + stillGroup - 1) / stillGroup * stillGroup
	w := pesWriter{}
	w.start(dst, &s, u.access, k)
	for size := min(max(len(data)/n, maxPESHeader), first); ; size = (len(data) + n - 1) / n {
		w.write(data[:size])
		w.end()
		if data, n = data[size:], n-1; n == 0 {
			return
		}
		w.b, w.s, w.p, w.n = dst, &s, dst.Packet(), 4
		binary.BigEndian.PutUint32(w.p, s.header(0))
	}
}

// pes reports whether the unit is a PES packet, and no section.
func (u *stillUnit) pes() bool {
	return len(u.data) > 3 && u.data[0] == 0 && u.data[1] == 0 && u.data[2] == 1
}

// padded is a PES packet with stuffing bytes in its header (2.4.3.7) where it is shorter than size: each of its transport
// packets needs a byte of it.
func padded(data []byte, size int) []byte {
	n := size - len(data)
	if n <= 0 || len(data) < 9 {
		return data
	}
	at := 9 + int(data[8])
	data = slices.Insert(data, at, bytes.Repeat([]byte{0xFF}, n)...)
	data[8] += byte(n)
	if length := binary.BigEndian.Uint16(data[4:]); length > 0 {
		binary.BigEndian.PutUint16(data[4:], length+uint16(n))
	}
	return data
}

// restamp moves the time stamps of a PES packet.
func restamp(data []byte, delay int64) {
	if len(data) < 14 {
		return
	}
	for i, at := range []int{9, 14} {
		if data[7]&(0x80>>i) == 0 || len(data) < at+5 {
			return
		}
		t := data[at : at+5]
		old := int64(t[0]&0x0E)<<29 | int64(t[1])<<22 | int64(t[2]&0xFE)<<14 | int64(t[3])<<7 | int64(t[4]>>1)
		appendTimestamp(t[:0], t[0]&0xF0, old+delay-Offset)
	}
}
