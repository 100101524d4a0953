// Package id3 makes and checks the ID3v2.4 tags of timed metadata, and keeps those of a recording until their place in the
// transport stream has come. It refuses to interpret what a tag says.
package id3

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxTag is the longest tag that is taken, bytes.
const MaxTag = 16 << 10

// Text is a TXXX frame: a text that somebody described (ID3v2.4.0 frames, 4.2.6). Both are UTF-8 without NUL.
type Text struct{ Description, Value string }

const (
	headSize  = 10 // of the tag, and of each frame
	maxTexts  = 64
	footer    = 0x10
	extended  = 0x40
	tagFlags  = 0xF0 // those that version 2.4 has
	utf8Bytes = 3    // the encoding of a text
)

// Tag returns a tag with one TXXX frame for each text. The error says what cannot be in one.
func Tag(texts []Text) ([]byte, error) {
	if len(texts) == 0 || len(texts) > maxTexts {
		return nil, fmt.Errorf("a tag has 1 to %d texts, not %d", maxTexts, len(texts))
	}
	tag := []byte("ID3\x04\x00\x00\x00\x00\x00\x00")
	for i, t := range texts {
		if s := t.Description + t.Value; !utf8.ValidString(t.Description) || !utf8.ValidString(t.Value) || strings.ContainsRune(s, 0) {
			return nil, fmt.Errorf("text %d is not UTF-8 without NUL", i)
		}
		n := 1 + len(t.Description) + 1 + len(t.Value)
		if len(tag)+headSize+n > MaxTag {
			return nil, errLong
		}
		tag = appendSize(append(tag, "TXXX"...), n)
		tag = append(tag, 0, 0, utf8Bytes) // no flags
		tag = append(append(append(tag, t.Description...), 0), t.Value...)
	}
	appendSize(tag[:6], len(tag)-headSize)
	return tag, nil
}

var errLong = fmt.Errorf("the tag has more than %d bytes", MaxTag)

// Check reports what is wrong with a tag: it has to be one whole tag of version 2.4 with at least one frame, and nothing else.
func Check(tag []byte) error {
	switch {
	case len(tag) > MaxTag:
		return errLong
	case len(tag) < headSize || string(tag[:3]) != "ID3":
		return errors.New("it does not begin with an ID3 header")
	case tag[3] != 4 || tag[4] == 0xFF:
		return fmt.Errorf("it is of version 2.%d, not 2.4", tag[3])
	case tag[5]&^tagFlags != 0:
		return fmt.Errorf("its flags %#02x are not those of version 2.4", tag[5])
	}
	size, ok := readSize(tag[6:])
	end := headSize + size
	whole := end
	if tag[5]&footer != 0 {
		whole += headSize
	}
	if !ok || whole != len(tag) {
		return fmt.Errorf("its size, %d bytes by its header, is not that of the %d bytes that came", whole, len(tag))
	}
	if whole > end && (string(tag[end:end+3]) != "3DI" || string(tag[end+3:]) != string(tag[3:headSize])) {
		return errors.New("its footer is not its header's")
	}
	return frames(tag[headSize:end], tag[5]&extended != 0)
}

// frames walks over what is between header and footer.
func frames(body []byte, hasExtended bool) error {
	if hasExtended {
		n, ok := readSize(body)
		if !ok || n < 6 || n > len(body) {
			return errors.New("its extended header is damaged")
		}
		body = body[n:]
	}
	count := 0
	for ; len(body) > 0 && body[0] != 0; count++ {
		if len(body) < headSize || !isID(body[:4]) {
			return fmt.Errorf("frame %d has no header", count)
		}
		n, ok := readSize(body[4:])
		if !ok || n == 0 || n > len(body)-headSize {
			return fmt.Errorf("frame %d, %s, is longer than the tag, or empty", count, body[:4])
		}
		body = body[headSize+n:]
	}
	if strings.Trim(string(body), "\x00") != "" {
		return errors.New("its padding is not all zero")
	}
	if count == 0 {
		return errors.New("it has no frame")
	}
	return nil
}

// isID reports whether b is a frame's name: four capitals or digits.
func isID(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// readSize reads a size of four times seven bits (ID3v2.4.0 structure, 6.2).
func readSize(b []byte) (n int, ok bool) {
	if len(b) < 4 || binary.BigEndian.Uint32(b)&0x80808080 != 0 {
		return 0, false
	}
	return int(b[0])<<21 | int(b[1])<<14 | int(b[2])<<7 | int(b[3]), true
}

func appendSize(dst []byte, n int) []byte {
	return append(dst, byte(n>>21&0x7F), byte(n>>14&0x7F), byte(n>>7&0x7F), byte(n&0x7F))
}
