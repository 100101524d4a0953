package mpegts

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrDamaged is the error of a segment that is a transport stream, but not a whole one.
var ErrDamaged = errors.New("damaged transport stream")

// Unit is what a PES packet's header says of it.
type Unit struct {
	Track    Track
	Part     int   // of the segment, in which it begins: a part begins with tables
	Random   bool  // random_access_indicator
	PTS, DTS int64 // 90 kHz ticks as the stream has them, modulo 2^33
}

// Handler takes the PES packets of a segment. Those of the two tracks interleave; those of one follow each other.
type Handler interface {
	// Program comes first, and once: the types of the two streams, of which one at most is 0.
	Program(video, audio StreamType) error
	// Begin begins a PES packet.
	Begin(u *Unit) error
	// Bytes is a piece of its payload, as it lies in the segment.
	Bytes(t Track, p []byte)
	// Packets is more of its payload, as a run of packets: to be copied at once. What is not copied is passed over.
	Packets(t Track, r *Run)
	// End ends it.
	End(t Track) error
}

// HeaderSize is the length of a packet's header without adaptation field, in bytes.
const HeaderSize = 4

// Demuxer takes whole segments apart: what a Muxer wrote, and what others wrote who keep one program with at most one video and
// one audio stream that can be carried, and the header of a PES packet in one packet. It copies nothing. The zero value is ready.
type Demuxer struct {
	h            Handler
	pmt          int // PID; -1: not yet known
	video, audio elementary
	part         int
	begun        bool // a PES packet has begun in the part
	unit         Unit
	run          Run
	at           int // bytes that were read
}

// elementary is one of the two streams.
type elementary struct {
	track Track
	typ   StreamType
	pid   uint16
	cc    uint8 // of the newest packet with a payload
	open  bool  // a PES packet is in hand
	bound bool  // its length is known
	left  int   // bytes that it still lacks
}

// Read hands on what a segment consists of, which is given in pieces of whole packets, and returns the number of its parts. It ends
// with the first error: ErrNotTS or ErrDamaged, with its place, or one of the handler's own.
func (d *Demuxer) Read(pieces [][]byte, h Handler) (parts int, err error) {
	d.Open(h)
	for _, piece := range pieces {
		if err := d.Feed(piece); err != nil {
			return 0, err
		}
	}
	return d.Close()
}

// Open begins a stream that comes piece by piece, and may be of any length: Feed takes the pieces, and Close ends it. Errors are those of
// Read; after one, nothing else is called.
func (d *Demuxer) Open(h Handler) {
	*d = Demuxer{h: h, pmt: -1, part: -1, video: elementary{track: VideoTrack}, audio: elementary{track: AudioTrack}, begun: true}
}

// Feed takes the next piece, of whole packets, of which nothing is kept.
func (d *Demuxer) Feed(piece []byte) error {
	if len(piece)%PacketSize != 0 {
		return fmt.Errorf("%w: it ends within a packet, at byte %d", ErrDamaged, d.at+len(piece))
	}
	for ; len(piece) > 0; piece, d.at = piece[PacketSize:], d.at+PacketSize {
		if err := d.packet(piece[:PacketSize:PacketSize]); err != nil {
			return fmt.Errorf("%w, at byte %d", err, d.at)
		}
		if n := d.goOn(piece[PacketSize:]); n > 0 {
			piece, d.at = piece[n:], d.at+n
		}
	}
	return nil
}

// Close ends the stream, and returns the number of its parts.
func (d *Demuxer) Close() (parts int, err error) {
	if !d.known() {
		return 0, fmt.Errorf("%w: %d bytes without tables", ErrDamaged, d.at)
	}
	if err := d.end(&d.video); err != nil {
		return 0, err
	}
	return d.part + 1, d.end(&d.audio)
}

// known reports whether the program map has been read.
func (d *Demuxer) known() bool { return d.video.typ != 0 || d.audio.typ != 0 }

func (d *Demuxer) packet(p []byte) error {
	h := binary.BigEndian.Uint32(p)
	if h>>24 != 0x47 {
		return fmt.Errorf("%w: no sync byte", ErrNotTS)
	}
	if h&(1<<23) != 0 {
		return fmt.Errorf("%w: a packet is marked as erroneous", ErrDamaged)
	}
	if h&payload == 0 {
		return nil
	}
	at := 4
	if h&adaptation != 0 {
		if at = 5 + int(p[4]); at > PacketSize {
			return fmt.Errorf("%w: an adaptation field is longer than its packet", ErrDamaged)
		}
	}
	pid := uint16(h>>8) & 0x1FFF
	var e *elementary
	switch {
	case pid == d.video.pid && d.video.typ != 0:
		e = &d.video
	case pid == d.audio.pid && d.audio.typ != 0:
		e = &d.audio
	case h&unitStart == 0 || at == PacketSize:
		return nil
	case pid == 0:
		d.program(p[at:])
		return nil
	case int(pid) == d.pmt:
		return d.mapping(p[at:])
	default:
		return nil
	}
	if h&unitStart != 0 {
		if err := d.begin(e, p, at); err != nil {
			return err
		}
		return nil
	}
	if !e.open {
		return fmt.Errorf("%w: a stream begins in the middle of a PES packet", ErrDamaged)
	}
	if cc := uint8(h & 15); cc != (e.cc+1)&15 {
		return d.lost(p)
	}
	e.cc = uint8(h & 15)
	d.bytes(e, p[at:])
	return nil
}

// goOn hands on the packets that a piece begins with, as far as they go on with a picture and have nothing but payload, and returns
// their length.
func (d *Demuxer) goOn(piece []byte) int {
	e := &d.video
	if !e.open {
		return 0
	}
	r := &d.run
	*r = Run{packets: piece, header: 0x47000010 | uint32(e.pid)<<8 | uint32(e.cc+1)&15, left: len(piece) / PacketSize}
	if e.bound {
		r.left = min(r.left, e.left/PayloadSize)
	}
	if r.left == 0 || binary.BigEndian.Uint32(piece) != r.header {
		return 0
	}
	d.h.Packets(VideoTrack, r)
	r.skip()
	n := len(piece) - len(r.packets)
	e.cc = uint8(r.header-1) & 15
	if e.bound {
		e.left -= n / PacketSize * PayloadSize
	}
	return n
}

// lost is the error of a continuity counter that does not follow, unless the packet says so itself.
func (d *Demuxer) lost(p []byte) error {
	if p[3]&adaptation != 0 && p[4] > 0 && p[5]&discontinuity != 0 {
		return nil
	}
	return fmt.Errorf("%w: packets are missing", ErrDamaged)
}

func (d *Demuxer) bytes(e *elementary, b []byte) {
	if e.bound {
		b = b[:min(len(b), e.left)]
		e.left -= len(b)
	}
	if len(b) > 0 {
		d.h.Bytes(e.track, b)
	}
}

// begin reads the header of a PES packet (2.4.3.6).
func (d *Demuxer) begin(e *elementary, p []byte, at int) error {
	cc := p[3] & 15
	if e.open && cc != (e.cc+1)&15 {
		if err := d.lost(p); err != nil {
			return err
		}
	}
	if err := d.end(e); err != nil {
		return err
	}
	b := p[at:]
	if len(b) < 14 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[7]&0x80 == 0 {
		return fmt.Errorf("%w: a PES packet without a time stamp", ErrDamaged)
	}
	size := 9 + int(b[8])
	if size > len(b) || b[8] < 5 || b[7]&0x40 != 0 && b[8] < 10 {
		return fmt.Errorf("%w: the header of a PES packet is cut short", ErrDamaged)
	}
	u := &d.unit
	*u = Unit{Track: e.track, Part: d.part, PTS: timestamp(b[9:])}
	u.Random = p[3]&adaptation != 0 && p[4] > 0 && p[5]&randomAccess != 0
	if u.DTS = u.PTS; b[7]&0x40 != 0 {
		u.DTS = timestamp(b[14:])
	}
	e.open, e.cc, d.begun = true, cc, true
	if n := int(binary.BigEndian.Uint16(b[4:])); n > 0 {
		if e.bound, e.left = true, n+6-size; e.left < 0 {
			return fmt.Errorf("%w: a PES packet is shorter than its header", ErrDamaged)
		}
	} else {
		e.bound = false
	}
	if err := d.h.Begin(u); err != nil {
		return err
	}
	d.bytes(e, b[size:])
	return nil
}

// end ends the PES packet in hand.
func (d *Demuxer) end(e *elementary) error {
	if !e.open {
		return nil
	}
	if e.open = false; e.bound && e.left > 0 {
		return fmt.Errorf("%w: a PES packet is cut short", ErrDamaged)
	}
	return d.h.End(e.track)
}

// program reads the program association table. With it begins a part, unless nothing has come since the last: a table may be
// there more than once.
func (d *Demuxer) program(body []byte) {
	if d.begun {
		d.part, d.begun = d.part+1, false
	}
	if d.pmt >= 0 {
		return
	}
	for e := section(body, 0); len(e) >= 4; e = e[4:] {
		if e[0] != 0 || e[1] != 0 { // program 0 is the network's
			d.pmt = int(binary.BigEndian.Uint16(e[2:]) & 0x1FFF)
			return
		}
	}
}

// mapping reads the program map table.
func (d *Demuxer) mapping(body []byte) error {
	e := section(body, 2)
	if len(e) < 4 {
		return fmt.Errorf("%w: its program map cannot be read", ErrDamaged)
	}
	var video, audio elementary
	for e = e[min(4+int(binary.BigEndian.Uint16(e[2:])&0xFFF), len(e)):]; len(e) >= 5; {
		var t *elementary
		switch StreamType(e[0]) {
		case H264, H265:
			t = &video
		case AAC, MP3MPEG1, MP3MPEG2:
			t = &audio
		}
		if t != nil && t.typ == 0 {
			t.typ, t.pid = StreamType(e[0]), binary.BigEndian.Uint16(e[1:])&0x1FFF
		}
		e = e[min(5+int(binary.BigEndian.Uint16(e[3:])&0xFFF), len(e)):]
	}
	if d.known() {
		if d.video.typ != video.typ || d.video.pid != video.pid || d.audio.typ != audio.typ || d.audio.pid != audio.pid {
			return fmt.Errorf("%w: its program changes in the middle", ErrDamaged)
		}
		return nil
	}
	wrong := func(e *elementary) bool { return e.typ != 0 && (e.pid == 0 || int(e.pid) == d.pmt) }
	if wrong(&video) || wrong(&audio) || video.typ == 0 && audio.typ == 0 {
		return fmt.Errorf("%w: its program map has no stream that can be carried", ErrDamaged)
	}
	d.video.typ, d.video.pid, d.audio.typ, d.audio.pid = video.typ, video.pid, audio.typ, audio.pid
	return d.h.Program(video.typ, audio.typ)
}

// timestamp reads the 33 bits of a time stamp.
func timestamp(f []byte) int64 {
	return int64(f[0]>>1&7)<<30 | int64(binary.BigEndian.Uint16(f[1:])>>1)<<15 | int64(binary.BigEndian.Uint16(f[3:])>>1)
}
