package mpegts

import "encoding/binary"

// pesWriter spreads the bytes of one PES packet over transport stream packets. It is used as start, write…, end.
type pesWriter struct {
	b *Buffer
	s *stream
	p []byte // the packet being filled
	n int    // bytes filled in it
}

// start opens the PES packet's first transport packet, with an adaptation field where there is something to say.
func (w *pesWriter) start(b *Buffer, s *stream, access bool, k tick) {
	w.b, w.s = b, s
	w.p = b.Packet()
	flags := s.flags()
	if access {
		flags |= randomAccess
	}
	if flags == 0 && !k.has {
		binary.BigEndian.PutUint32(w.p, s.header(unitStart))
		w.n = 4
		return
	}
	binary.BigEndian.PutUint32(w.p, s.header(unitStart|adaptation))
	w.p[4], w.p[5], w.n = 1, flags, 6
	if k.has {
		w.p[4] = 7
		w.p[5] |= hasPCR
		putPCR(w.p[6:], k.pcr)
		w.n = 12
	}
}

// write copies data into packets: to the end of the open one, then whole packets in adjacent room, then the rest.
func (w *pesWriter) write(data []byte) {
	const size = PacketSize - 4
	if w.n < PacketSize {
		c := copy(w.p[w.n:], data)
		w.n += c
		data = data[c:]
	}
	for len(data) >= size {
		run := w.b.packets(len(data) / size)
		cc := uint32(w.s.cc)
		h := w.s.header(0) &^ 15
		for at := 0; at < len(run); at += PacketSize {
			p := run[at : at+PacketSize : at+PacketSize]
			binary.BigEndian.PutUint32(p, h|cc&15)
			copy(p[4:], data[:size])
			data = data[size:]
			cc++
		}
		w.s.cc = uint8(cc & 15)
		w.p, w.n = run[len(run)-PacketSize:], PacketSize
	}
	if len(data) > 0 {
		w.p = w.b.Packet()
		binary.BigEndian.PutUint32(w.p, w.s.header(0))
		w.n = 4 + copy(w.p[4:], data)
	}
}

// end fills the last packet. A transport packet that carries PES data has no room left over (2.4.3.5): the payload moves
// to the packet's end, and an adaptation field takes up what is free before it.
func (w *pesWriter) end() {
	p, free := w.p, PacketSize-w.n
	w.b, w.s, w.p = nil, nil, nil
	switch {
	case free == 0:
	case p[3]&adaptation != 0: // the packet of start: lengthen its field
		at := 5 + int(p[4])
		copy(p[at+free:], p[at:PacketSize-free])
		p[4] += byte(free)
		stuff(p[at : at+free])
	default:
		copy(p[4+free:], p[4:PacketSize-free])
		p[3] |= adaptation
		p[4] = byte(free - 1)
		if free > 1 {
			p[5] = 0
			stuff(p[6 : 4+free])
		}
	}
}

// pcrOnly writes a packet without payload that carries a PCR. Its counter does not rise (2.4.3.3).
func pcrOnly(b *Buffer, s *stream, pcr int64) {
	p := b.Packet()
	binary.BigEndian.PutUint32(p, 0x47000000|uint32(s.pid)<<8|adaptation|uint32(s.cc-1)&15)
	p[4], p[5] = PacketSize-5, hasPCR|s.flags()
	putPCR(p[6:], pcr)
	stuff(p[12:])
}

const maxPESHeader = 19

// appendPESHeader appends a PES header (2.4.3.6). size is the number of payload bytes, or negative where it is left
// open, as video may.
func appendPESHeader(dst []byte, streamID byte, size int, pts, dts int64) []byte {
	flags, fields := byte(0x80), 5
	if pts != dts {
		flags, fields = 0xC0, 10
	}
	length := 0
	if size >= 0 {
		length = 3 + fields + size
	}
	dst = append(dst, 0, 0, 1, streamID, byte(length>>8), byte(length),
		0x84, // data_alignment_indicator: an access unit begins here
		flags, byte(fields))
	if pts == dts {
		return appendTimestamp(dst, 0x20, pts)
	}
	return appendTimestamp(appendTimestamp(dst, 0x30, pts), 0x10, dts)
}

// appendTimestamp appends the 33-bit time stamp of t, with its marker bits.
func appendTimestamp(dst []byte, prefix byte, t int64) []byte {
	u := wire(t)
	return append(dst, prefix|byte(u>>29)&0x0E|1, byte(u>>22), byte(u>>14)|1, byte(u>>7), byte(u<<1)|1)
}

// putPCR writes the 33 bits of a PCR's base at 90 kHz; the extension at 27 MHz is always 0.
func putPCR(p []byte, t int64) {
	u := wire(t)
	binary.BigEndian.PutUint32(p, uint32(u>>1))
	p[4], p[5] = byte(u<<7)|0x7E, 0
}

// Offset is added to every time stamp, in 90 kHz ticks: 10 s. With it a stream that begins at zero, even one with some
// negative time stamps, has its first PCR well above zero, where none of its readers has to cope with a wrap.
const Offset = 10 * 90000

// wire is t on the stream's own clock, which has 33 bits.
func wire(t int64) uint64 { return uint64(t+Offset) & (1<<33 - 1) }

// stuff fills p with stuffing bytes.
func stuff(p []byte) {
	for len(p) >= 8 {
		binary.NativeEndian.PutUint64(p, ^uint64(0))
		p = p[8:]
	}
	for i := range p {
		p[i] = 0xFF
	}
}
