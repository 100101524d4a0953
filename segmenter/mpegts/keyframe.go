package mpegts

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Keyframe is where the first picture of a segment lies in it, bytes. The zero value: a decoder cannot show that picture without
// others, or there is none.
type Keyframe struct {
	Tables int64 // length of the tables that the segment begins with
	Offset int64 // of the picture's first packet
	Size   int64 // from there to the end of its last packet
}

// FindKeyframe reads a segment up to the end of its first picture. Packets of other streams may lie in between. Bytes that are no
// transport stream are ErrNotTS; a segment that ends before its tables, or within a packet, is ErrDamaged.
func FindKeyframe(r io.Reader) (Keyframe, error) {
	f := keyframeFinder{s: scanner{pmt: -1}}
	in := bufio.NewReaderSize(r, PacketSize*128)
	var p [PacketSize]byte
	for ; !f.done; f.at += PacketSize {
		switch _, err := io.ReadFull(in, p[:]); {
		case err == io.EOF && f.s.Video.Type == 0 && f.s.Audio.Type == 0:
			return Keyframe{}, fmt.Errorf("%w: %d bytes without tables", ErrDamaged, f.at)
		case err == io.EOF:
			return f.keyframe(), nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return Keyframe{}, fmt.Errorf("%w: it ends within a packet, at byte %d", ErrDamaged, f.at)
		case err != nil:
			return Keyframe{}, err
		case p[0] != 0x47:
			return Keyframe{}, fmt.Errorf("%w: no sync byte at offset %d", ErrNotTS, f.at)
		}
		f.packet(p[:])
	}
	return f.keyframe(), nil
}

// keyframeFinder looks at packets until it has seen all of the first picture.
type keyframeFinder struct {
	s     scanner // for the tables
	at    int64   // offset of the packet
	key   Keyframe
	begun bool // the tables are behind
	head  []byte
	done  bool
}

func (f *keyframeFinder) packet(p []byte) {
	pid := binary.BigEndian.Uint16(p[1:]) & 0x1fff
	start, at := p[1]&0x40 != 0, 4
	if p[3]&0x20 != 0 {
		at = 5 + int(p[4])
	}
	if pid == 0 || int(pid) == f.s.pmt {
		f.s.packet(p)
		if !f.begun {
			f.key.Tables = f.at + PacketSize
		}
		return
	}
	f.begun = true
	if f.s.Video.Type == 0 && f.s.Audio.Type != 0 {
		f.done = true // there will be no picture
		return
	}
	switch v := &f.s.Video; {
	case v.Type == 0 || pid != v.pid || p[3]&0x10 == 0 || at >= PacketSize:
	case start && f.key.Size > 0:
		f.done = true
	case start:
		f.key.Offset, f.key.Size = f.at, PacketSize
		f.gather(p[at:])
	case f.key.Size > 0:
		f.key.Size = f.at + PacketSize - f.key.Offset
		f.gather(p[at:])
	}
}

// gather keeps the beginning of the picture, with its PES header.
func (f *keyframeFinder) gather(b []byte) {
	f.head = append(f.head, b[:min(len(b), maxHead-len(f.head))]...)
}

// keyframe is the place of the picture, if it can be shown alone.
func (f *keyframeFinder) keyframe() Keyframe {
	if len(f.head) < 9 || 9+int(f.head[8]) > len(f.head) {
		return Keyframe{}
	}
	c := codec.H264
	if f.s.Video.Type == H265 {
		c = codec.H265
	}
	picture := f.head[9+int(f.head[8]):]
	at := codec.NextStartCode(picture, 0)
	if at < 0 {
		return Keyframe{}
	}
	if s := c.Survey(slices.Collect(codec.AnnexB(picture[at:]))); !s.Alone() {
		return Keyframe{}
	}
	return f.key
}
