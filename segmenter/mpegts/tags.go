package mpegts

import (
	"bytes"
	"encoding/binary"
)

// Tag is an ID3 tag of timed metadata in a segment.
type Tag struct {
	Part int   // of the segment, in which it begins, as Unit.Part
	PTS  int64 // when it is to be shown, 90 kHz ticks as the stream has them, modulo 2^33
	Data []byte
}

// Tags are the ID3 tags of a segment, which is given in pieces of whole packets, in their order. Of a program that has no stream for them no
// more is read than its tables. What is damaged, or no tag, is left out.
func Tags(pieces [][]byte) []Tag {
	r := tagReader{pmt: -1, part: -1, begun: true}
	r.read(pieces)
	r.end()
	return r.tags
}

// tagReader reads the PES packets of a segment's metadata.
type tagReader struct {
	pmt          int // PID; -1: not yet known
	pid          uint16
	video, audio uint16 // PIDs of the tracks; 0: there is none
	part         int
	begun        bool // a PES packet of a track has begun in the part

	open bool
	tag  Tag // the one in hand
	left int // bytes that it still lacks
	cc   uint8
	tags []Tag
}

func (r *tagReader) read(pieces [][]byte) {
	for _, piece := range pieces {
		for ; len(piece) >= PacketSize; piece = piece[PacketSize:] {
			if p := piece[:PacketSize]; p[0] != 0x47 || !r.packet(p) {
				return
			}
		}
	}
}

// packet takes a packet; false: no more has to be read.
func (r *tagReader) packet(p []byte) bool {
	h := binary.BigEndian.Uint32(p)
	at := 4
	if h&adaptation != 0 {
		at = 5 + int(p[4])
	}
	if h&payload == 0 || at >= PacketSize {
		return true
	}
	switch pid := uint16(h>>8) & 0x1FFF; {
	case pid == 0 && h&unitStart != 0:
		r.program(p[at:])
	case int(pid) == r.pmt && h&unitStart != 0 && r.pid == 0:
		return r.mapping(p[at:])
	case r.pid == 0:
	case pid == r.pid:
		r.metadata(p[at:], h&unitStart != 0, p[3]&15)
	case h&unitStart != 0 && (pid == r.video || pid == r.audio):
		r.begun = true
	}
	return true
}

// program reads the program association table, with which a part begins, as for Demuxer.
func (r *tagReader) program(body []byte) {
	if r.begun {
		r.part, r.begun = r.part+1, false
	}
	for e := section(body, 0); len(e) >= 4 && r.pmt < 0; e = e[4:] {
		if e[0] != 0 || e[1] != 0 {
			r.pmt = int(binary.BigEndian.Uint16(e[2:]) & 0x1FFF)
		}
	}
}

// mapping reads the program map table, and reports whether there is a stream for metadata.
func (r *tagReader) mapping(body []byte) bool {
	e := section(body, 2)
	if len(e) < 4 {
		return false
	}
	for e = e[min(4+int(binary.BigEndian.Uint16(e[2:])&0xFFF), len(e)):]; len(e) >= 5; {
		pid := &r.pid
		switch StreamType(e[0]) {
		case H264, H265:
			pid = &r.video
		case AAC, MP3MPEG1, MP3MPEG2:
			pid = &r.audio
		case ID3:
		default:
			pid = new(uint16)
		}
		if *pid == 0 {
			*pid = binary.BigEndian.Uint16(e[1:]) & 0x1FFF
		}
		e = e[min(5+int(binary.BigEndian.Uint16(e[3:])&0xFFF), len(e)):]
	}
	if r.pid == r.video || r.pid == r.audio {
		r.pid = 0
	}
	return r.pid != 0
}

// metadata takes a packet of metadata.
func (r *tagReader) metadata(b []byte, start bool, cc uint8) {
	if !start {
		if r.open = r.open && cc == (r.cc+1)&15; r.open {
			r.cc = cc
			r.bytes(b)
		}
		return
	}
	r.end()
	if len(b) < 14 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[7]&0x80 == 0 {
		return
	}
	size := 9 + int(b[8])
	r.left = int(binary.BigEndian.Uint16(b[4:])) + 6 - size
	if b[8] < 5 || size > len(b) || r.left <= 0 { // a tag's length is known
		return
	}
	r.open, r.cc, r.tag = true, cc, Tag{Part: max(r.part, 0), PTS: timestamp(b[9:])}
	r.bytes(b[size:])
}

func (r *tagReader) bytes(b []byte) {
	b = b[:min(len(b), r.left)]
	r.left -= len(b)
	r.tag.Data = append(r.tag.Data, b...)
}

// end ends the PES packet in hand.
func (r *tagReader) end() {
	if r.open && r.left == 0 && bytes.HasPrefix(r.tag.Data, []byte("ID3")) {
		r.tags = append(r.tags, r.tag)
	}
	r.open = false
}
