package mpegts

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrDamaged is the error of a segment that is a transport stream, but not a whole one.
var ErrDamaged = errors.New("damaged transport stream")

// Unit is one PES packet of a segment.
type Unit struct {
	Track    Track
	Part     int   // of the segment, in which it begins; see Demuxer.Parts
	Random   bool  // random_access_indicator
	PTS, DTS int64 // 90 kHz ticks as the stream has them, modulo 2^33
	Data     []byte
}

// Units counts the PES packets that begin in a part.
type Units struct{ Video, Audio int }

// Demuxer takes whole segments apart into PES packets: what a Muxer wrote, and what others wrote who keep one program with at
// most one video and one audio stream that can be carried. What it needs of memory is bounded by the segment, and used again
// for the next. It serves one goroutine; the zero value is ready.
type Demuxer struct {
	pmt          int // PID; -1: not yet known
	video, audio elementary
	parts        []Units
	pieces       [][]byte
	at, begin    int // bytes: the packet in hand, and the one with the program map
	unit         Unit
}

// elementary is one of the two streams.
type elementary struct {
	typ     StreamType
	pid     uint16
	cc      uint8
	packets int // with a payload
	bytes   int // of payload

	data   []byte // of the PES packet in hand
	open   bool
	part   int
	random bool
}

// Open looks through a segment, which is given in pieces of whole packets: what streams it has, how many PES packets begin in
// each of its parts, and whether packets are missing. The pieces must not change until Each has returned. The error is
// ErrNotTS or ErrDamaged, with its place.
func (d *Demuxer) Open(pieces [][]byte) error {
	d.pmt, d.parts, d.pieces = -1, d.parts[:0], nil
	d.video, d.audio = elementary{data: d.video.data[:0]}, elementary{data: d.audio.data[:0]}
	d.at = 0
	for _, p := range pieces {
		if len(p)%PacketSize != 0 {
			return fmt.Errorf("%w: it ends within a packet, at byte %d", ErrDamaged, d.at+len(p))
		}
		for ; len(p) > 0; p, d.at = p[PacketSize:], d.at+PacketSize {
			if err := d.look(p[:PacketSize:PacketSize]); err != nil {
				return fmt.Errorf("%w, at byte %d", err, d.at)
			}
		}
	}
	if !d.known() {
		return fmt.Errorf("%w: %d bytes without tables", ErrDamaged, d.at)
	}
	d.pieces = pieces
	return nil
}

// known reports whether the program map has been read.
func (d *Demuxer) known() bool { return d.video.typ != 0 || d.audio.typ != 0 }

// Streams are the types of the program's streams; 0: no such stream.
func (d *Demuxer) Streams() (video, audio StreamType) { return d.video.typ, d.audio.typ }

// Parts are the parts of the segment, each of which begins with tables. It is good until the next Open.
func (d *Demuxer) Parts() []Units { return d.parts }

// Bytes are the payload bytes of the streams, headers of PES packets included.
func (d *Demuxer) Bytes() (video, audio int) { return d.video.bytes, d.audio.bytes }

// look checks a packet.
func (d *Demuxer) look(p []byte) error {
	h := binary.BigEndian.Uint32(p)
	switch {
	case h>>24 != 0x47:
		return fmt.Errorf("%w: no sync byte", ErrNotTS)
	case h&(1<<23) != 0:
		return fmt.Errorf("%w: a packet is marked as erroneous", ErrDamaged)
	case h&payload == 0:
		return nil
	}
	at := payloadAt(p, h)
	if at > PacketSize {
		return fmt.Errorf("%w: an adaptation field is longer than its packet", ErrDamaged)
	}
	pid := uint16(h>>8) & 0x1FFF
	var e *elementary
	switch {
	case pid == 0:
		if h&unitStart != 0 {
			d.program(p[at:])
		}
		return nil
	case int(pid) == d.pmt:
		if h&unitStart == 0 || at == PacketSize {
			return nil
		}
		return d.mapping(p[at:])
	case d.video.typ != 0 && pid == d.video.pid:
		e = &d.video
	case d.audio.typ != 0 && pid == d.audio.pid:
		e = &d.audio
	default:
		return nil
	}
	if e.packets > 0 && (e.cc+1)&15 != uint8(h&15) && !(h&adaptation != 0 && p[4] > 0 && p[5]&discontinuity != 0) {
		return fmt.Errorf("%w: packets are missing", ErrDamaged)
	}
	e.cc = uint8(h & 15)
	e.packets++
	e.bytes += PacketSize - at
	switch {
	case h&unitStart == 0 && !e.open:
		return fmt.Errorf("%w: a stream begins in the middle of a PES packet", ErrDamaged)
	case h&unitStart == 0:
		return nil
	}
	e.open = true
	u := &d.parts[len(d.parts)-1]
	if e == &d.video {
		u.Video++
	} else {
		u.Audio++
	}
	return nil
}

// payloadAt is where the payload of a packet begins; more than PacketSize where it lies outside.
func payloadAt(p []byte, h uint32) int {
	if h&adaptation == 0 {
		return 4
	}
	return 5 + int(p[4])
}

// program reads the program association table. With it begins a part, unless nothing has come since the last: a table may be
// there more than once.
func (d *Demuxer) program(body []byte) {
	if n := len(d.parts); n == 0 || d.parts[n-1] != (Units{}) {
		d.parts = append(d.parts, Units{})
	}
	if d.pmt >= 0 || len(body) == 0 {
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
		t := &video
		switch typ := StreamType(e[0]); typ {
		case H264, H265:
		case AAC, MP3MPEG1, MP3MPEG2:
			t = &audio
		default:
			t = nil
		}
		if t != nil && t.typ == 0 {
			t.typ, t.pid = StreamType(e[0]), binary.BigEndian.Uint16(e[1:])&0x1FFF
		}
		e = e[min(5+int(binary.BigEndian.Uint16(e[3:])&0xFFF), len(e)):]
	}
	if !d.known() {
		if video.typ != 0 && video.pid == 0 || audio.typ != 0 && audio.pid == 0 {
			return fmt.Errorf("%w: its program map cannot be right", ErrDamaged)
		}
		d.video.typ, d.video.pid, d.audio.typ, d.audio.pid = video.typ, video.pid, audio.typ, audio.pid
		d.begin = d.at
		return nil
	}
	if d.video.typ != video.typ || d.video.pid != video.pid || d.audio.typ != audio.typ || d.audio.pid != audio.pid {
		return fmt.Errorf("%w: its program changes in the middle", ErrDamaged)
	}
	return nil
}

// Each calls unit for every PES packet of the segment that Open looked through, those of a track in their order, and ends with
// the first error, which is ErrDamaged or unit's own. What it gives is good until unit returns.
func (d *Demuxer) Each(unit func(*Unit) error) error {
	d.video.open, d.audio.open = false, false
	part, begun, skip := 0, false, d.begin
	for _, piece := range d.pieces {
		if skip >= len(piece) {
			skip -= len(piece)
			continue
		}
		for piece, skip = piece[skip:], 0; len(piece) > 0; piece = piece[PacketSize:] {
			p := piece[:PacketSize:PacketSize]
			h := binary.BigEndian.Uint32(p)
			pid := uint16(h>>8) & 0x1FFF
			e := &d.video
			switch {
			case h&payload == 0:
				continue
			case int(pid) == d.pmt:
				continue
			case pid == d.video.pid && d.video.typ != 0:
			case pid == d.audio.pid && d.audio.typ != 0:
				e = &d.audio
			default:
				if pid == 0 && h&unitStart != 0 && begun {
					part, begun = part+1, false
				}
				continue
			}
			if h&unitStart != 0 {
				if err := d.finish(e, unit); err != nil {
					return err
				}
				e.open, e.part, e.data, begun = true, part, e.data[:0], true
				e.random = h&adaptation != 0 && p[4] > 0 && p[5]&randomAccess != 0
			}
			e.data = append(e.data, p[min(payloadAt(p, h), PacketSize):]...)
		}
	}
	if err := d.finish(&d.video, unit); err != nil {
		return err
	}
	return d.finish(&d.audio, unit)
}

// finish gives the PES packet in hand on (2.4.3.6).
func (d *Demuxer) finish(e *elementary, unit func(*Unit) error) error {
	if !e.open {
		return nil
	}
	b := e.data
	if len(b) < 14 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[7]&0x80 == 0 {
		return fmt.Errorf("%w: a PES packet without a time stamp", ErrDamaged)
	}
	if n := int(binary.BigEndian.Uint16(b[4:])); n > 0 {
		if n += 6; n > len(b) || n < 14 {
			return fmt.Errorf("%w: a PES packet is cut short", ErrDamaged)
		}
		b = b[:n]
	}
	at := 9 + int(b[8])
	if at > len(b) || b[8] < 5 || b[7]&0x40 != 0 && b[8] < 10 {
		return fmt.Errorf("%w: the header of a PES packet is cut short", ErrDamaged)
	}
	u := &d.unit
	*u = Unit{Track: VideoTrack, Part: e.part, Random: e.random, PTS: timestamp(b[9:]), Data: b[at:]}
	if e == &d.audio {
		u.Track = AudioTrack
	}
	if u.DTS = u.PTS; b[7]&0x40 != 0 {
		u.DTS = timestamp(b[14:])
	}
	return unit(u)
}

// timestamp reads the 33 bits of a time stamp.
func timestamp(f []byte) int64 {
	return int64(f[0]>>1&7)<<30 | int64(binary.BigEndian.Uint16(f[1:])>>1)<<15 | int64(binary.BigEndian.Uint16(f[3:])>>1)
}
