package http1

import (
	"encoding/binary"
	"strings"
)

// The rules for a request, however it came. A request that breaks one is answered 400.

// tokens are the characters of a method or field name (RFC 9110 5.6.2).
var tokens = func() (t [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		t[c] = true
	}
	return t
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if !tokens[c] {
			return false
		}
	}
	return true
}

// properTarget reports whether a request target has only valid characters: visible ASCII, and no fragment, which some servers remove and
// others do not (RFC 9112 3.2).
func properTarget(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// properEscapes reports whether every percent sign begins an escape.
func properEscapes(path string) bool {
	for {
		_, rest, found := strings.Cut(path, "%")
		switch {
		case !found:
			return true
		case len(rest) < 2 || !isHex(rest[0]) || !isHex(rest[1]):
			return false
		}
		path = rest[2:]
	}
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// properHost reports whether s is a host name or address with or without a port (RFC 9110 7.2). Names have letters, digits, dots, hyphens
// and underscores; the rest of what RFC 3986 allows is used only in attacks.
func properHost(s string) bool {
	name, port := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 3 {
			return false
		}
		for i := 1; i < end; i++ {
			if c := s[i]; !isHex(c) && c != ':' && c != '.' {
				return false
			}
		}
		if name, port = "", s[end+1:]; port != "" && port[0] != ':' {
			return false
		}
	} else {
		if i := strings.IndexByte(s, ':'); i >= 0 {
			name, port = s[:i], s[i:]
		}
		if name == "" || len(name) > 255 {
			return false
		}
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	if len(port) > len(":65535") {
		return false
	}
	for i := 1; i < len(port); i++ {
		if !isDigit(port[i]) {
			return false
		}
	}
	return true
}

// properLength reports whether s is a number of bytes.
func properLength(s string) bool {
	if s == "" || len(s) > 18 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// properLine reports whether a header line has no control characters other than tabs (RFC 9110 5.5).
func properLine(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 { // bytes below 0x20 and 0x7f, eight at a time
		x := binary.LittleEndian.Uint64(b)
		del := x ^ 0x7f*ones
		if ((x-0x20*ones)&^x|(del-ones)&^del)&highs != 0 && !properBytes(b[:8]) {
			return false
		}
		b = b[8:]
	}
	return properBytes(b)
}

func properBytes(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
