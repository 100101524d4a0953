// Package file reads recorded media: it tells containers apart by their first bytes, and takes MP4 and QuickTime files apart (ISO/IEC
// 14496-12, plain and fragmented) into the access units of their tracks. Files are read in ranges, and so are the tables of samples: a file
// of many hours takes no more memory than a short one.
//
// Input is not trusted: what contradicts itself is an *Error that says where, and what to do. The package decodes nothing, re-times nothing
// beyond what an edit list says, follows no reference to another file, and refuses to guess what a table does not say.
package file

import (
	"bytes"
	"fmt"
)

// Kind is what is wrong with a file.
type Kind uint8

// The kinds of Error.
const (
	Empty     Kind = iota + 1
	NotMedia       // none of the containers that are known
	Truncated      // it ends before what it promises
	Damaged        // it contradicts itself
	Encrypted      // it needs a key
)

// Error is why a file cannot be read, for the person whose file it is.
type Error struct {
	Kind   Kind
	Reason string
}

func (e *Error) Error() string { return e.Reason }

func damaged(format string, a ...any) *Error {
	return &Error{Damaged, fmt.Sprintf(format, a...) + ": the file is damaged; export or upload it again"}
}

// SniffSize is how much of a file's beginning Sniff wants to see, bytes.
const SniffSize = 4096

// Container is a container format, by the name of ffmpeg's demuxer for it.
type Container string

// MP4 is the container that the package reads itself: MP4, QuickTime and their kin.
const MP4 Container = "mov"

// Sniff tells the container by a file's first bytes, SniffSize of them or all. Formats that name other files, as playlists do, are not
// known to it. The error is an *Error.
func Sniff(head []byte) (Container, error) {
	if len(head) == 0 {
		return "", &Error{Empty, "the file is empty (0 bytes): the upload may not be complete"}
	}
	at := func(off int, magic string) bool {
		return len(head) >= off+len(magic) && string(head[off:off+len(magic)]) == magic
	}
	for _, box := range []string{"ftyp", "moov", "mdat", "wide", "free", "skip", "pnot", "styp", "uuid"} {
		if at(4, box) {
			return MP4, nil
		}
	}
	for _, m := range []struct {
		off   int
		magic string
		c     Container
	}{
		{0, "\x1a\x45\xdf\xa3", "matroska"},
		{0, "FLV\x01", "flv"},
		{0, "OggS", "ogg"},
		{0, "fLaC", "flac"},
		{0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"},
		{0, "\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02", "mxf"},
		{0, "\x00\x00\x01\xba", "mpeg"},
		{0, "#!AMR", "amr"},
		{0, "caff", "caf"},
		{0, "ID3", "mp3"},
		{0, "DKIF", "ivf"},
		{0, "YUV4MPEG2 ", "yuv4mpegpipe"},
	} {
		if at(m.off, m.magic) {
			return m.c, nil
		}
	}
	switch {
	case at(0, "RIFF") && at(8, "AVI "):
		return "avi", nil
	case (at(0, "RIFF") || at(0, "RF64")) && at(8, "WAVE"):
		return "wav", nil
	case at(0, "FORM") && (at(8, "AIFF") || at(8, "AIFC")):
		return "aiff", nil
	case isTransport(head, 0, 188), isTransport(head, 4, 192), isTransport(head, 0, 204):
		return "mpegts", nil
	case len(head) > 3 && head[0] == 0xFF && head[1]&0xF6 == 0xF0:
		return "aac", nil
	case len(head) > 3 && head[0] == 0xFF && head[1]&0xE0 == 0xE0 && head[1]&6 != 0:
		return "mp3", nil
	}
	return "", &Error{NotMedia, notMedia(head)}
}

// isTransport reports whether packets of a size follow each other, three at least. A file may begin in the middle of one.
func isTransport(head []byte, off, size int) bool {
	for ; off < size && off+2*size < len(head); off++ {
		all := true
		for at := off; at < len(head) && all; at += size {
			all = head[at] == 0x47
		}
		if all {
			return true
		}
	}
	return false
}

// notMedia is what to say of a file that is none.
func notMedia(head []byte) string {
	for _, m := range []struct{ magic, is string }{
		{"PK\x03\x04", "a ZIP archive: unpack it, with its password if it has one, and upload what is in it"},
		{"Rar!", "a RAR archive: unpack it, with its password if it has one, and upload what is in it"},
		{"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it, with its password if it has one, and upload what is in it"},
		{"\x1f\x8b", "compressed with gzip: unpack it and upload what is in it"},
		{"%PDF", "a PDF document"},
		{"\x89PNG", "a picture (PNG), not a video"},
		{"\xff\xd8\xff", "a picture (JPEG), not a video"},
		{"GIF8", "a picture (GIF), not a video"},
		{"#EXTM3U", "a playlist, which only names media: upload the media itself"},
		{"<?xml", "an XML document"},
		{"<!DOCTYPE", "a web page: the upload may have saved an error page in place of the video"},
		{"<html", "a web page: the upload may have saved an error page in place of the video"},
	} {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return "the file is " + m.is
		}
	}
	return "the file is no media file that is known (MP4, MOV, MKV, WebM, MPEG-TS, FLV, AVI, MXF, ASF, Ogg, WAV, MP3 and their kin)"
}
