package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// entry reads the sample description (ISO/IEC 14496-12 8.5.2).
func (t *Track) entry(stsd box) error {
	w := t.movie.w
	p, err := w.at(stsd.from, 8)
	if err != nil {
		return eof(err, "stsd")
	}
	f := fields{b: p}
	f.skip(4)
	n := f.u32()
	b, cut, err := w.box(stsd.from+8, stsd.to)
	if err != nil {
		return err
	}
	if n == 0 || cut {
		return damaged("track %d does not say how it is coded", t.ID)
	}
	t.Format = strings.TrimRight(strings.ToValidUTF8(b.kind, "?"), " \x00")
	if n > 1 {
		t.Why = &codec.Unsupported{What: "a track whose coding changes in the middle", Do: "code the file anew (adaptive_video)"}
	}
	body, err := w.read(b, maxSmall)
	if err != nil {
		return err
	}
	if t.Medium == Video {
		return t.videoEntry(b.kind, body)
	}
	return t.audioEntry(b.kind, body)
}

var errEncrypted = &Error{Encrypted, "the file is encrypted (DRM): it needs a key that is not here; upload one that is not protected"}

// children are the boxes in some bytes, by their kinds; the first of each. What is no box ends them.
func children(b []byte) map[string][]byte {
	m := map[string][]byte{}
	for len(b) >= 8 {
		f := fields{b: b}
		size, kind := int(f.u32()), string(f.take(4))
		if size < 8 || size > len(b) {
			break
		}
		if _, ok := m[kind]; !ok {
			m[kind] = b[8:size]
		}
		b = b[size:]
	}
	return m
}

func (t *Track) videoEntry(kind string, b []byte) error {
	const header = 78
	if len(b) < header {
		return damaged("the sample entry of track %d is cut short", t.ID)
	}
	t.Width, t.Height = int(binary.BigEndian.Uint16(b[24:])), int(binary.BigEndian.Uint16(b[26:]))
	in := children(b[header:])
	if _, ok := in["sinf"]; ok || kind == "encv" || kind == "drmi" {
		return errEncrypted
	}
	c, record := codec.H264, in["avcC"]
	switch kind {
	case "avc1", "avc3":
	case "hvc1", "hev1":
		c, record = codec.H265, in["hvcC"]
	default:
		return nil
	}
	if t.Why != nil {
		return nil
	}
	v, length, err := codec.ParseRecord(c, record)
	if errors.Is(err, codec.ErrRecord) && (kind == "avc3" || kind == "hev1") && len(record) > 22 || errors.Is(err, codec.ErrRecord) && kind == "avc3" && len(record) >= 5 {
		// The sets are in the stream.
		length = int(record[4]&3) + 1
		if c == codec.H265 {
			length = int(record[21]&3) + 1
		}
		v, err = &codec.Video{Codec: c}, nil
	}
	if err != nil || length == 3 {
		t.Why = damaged("the configuration of track %d (%s) cannot be read", t.ID, kind)
		return nil
	}
	t.Codec, t.Video, t.length = c, v, length
	return nil
}

// audioEntry reads a sound description: that of ISO, and the versions of QuickTime, which have more before their boxes.
func (t *Track) audioEntry(kind string, b []byte) error {
	f := fields{b: b}
	f.skip(8)
	version := f.u16()
	header := 28
	switch version {
	case 1:
		header = 44
	case 2:
		header = 64
	}
	if len(b) < header {
		header = 28
	}
	if len(b) < header {
		return damaged("the sample entry of track %d is cut short", t.ID)
	}
	in := children(b[header:])
	if len(in) == 0 && header > 28 { // MP4 that only says a version
		in = children(b[28:])
	}
	if _, ok := in["sinf"]; ok || kind == "enca" || kind == "drms" {
		return errEncrypted
	}
	if kind != "mp4a" {
		return nil
	}
	esds, ok := in["esds"]
	if !ok {
		esds = children(in["wave"])["esds"]
	}
	object, asc := descriptor(esds)
	if object != 0x40 {
		if object == 0x69 || object == 0x6B {
			t.Format = "mp3"
		}
		return nil
	}
	c, err := codec.ParseASC(asc)
	if err != nil {
		t.Why = err
		return nil
	}
	if t.Why == nil {
		t.Codec, t.ASC, t.Sound = codec.AAC, bytes.Clone(asc), c
	}
	return nil
}

// descriptor finds in an ES descriptor (ISO/IEC 14496-1 7.2.6.5) the object type indication, and what is specific to the decoder.
func descriptor(esds []byte) (object uint8, specific []byte) {
	if len(esds) < 4 {
		return 0, nil
	}
	f := fields{b: esds[4:]}
	for len(f.b) > 0 && !f.short {
		tag := f.u8()
		size := 0
		for range 4 {
			c := f.u8()
			size = size<<7 | int(c&0x7F)
			if c&0x80 == 0 {
				break
			}
		}
		switch tag {
		case 3: // ES_Descriptor: its content follows
			f.skip(2)
			flags := f.u8()
			if flags&0x80 != 0 {
				f.skip(2)
			}
			if flags&0x40 != 0 {
				f.skip(int(f.u8()))
			}
			if flags&0x20 != 0 {
				f.skip(2)
			}
		case 4: // DecoderConfigDescriptor: its content follows
			object = f.u8()
			f.skip(12)
		case 5:
			if size > len(f.b) {
				return object, nil
			}
			return object, f.b[:size]
		default:
			f.skip(size)
		}
	}
	return object, nil
}
