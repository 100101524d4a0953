package origin

import "strings"

// rangeResult is what a Range header field asks for.
type rangeResult uint8

const (
	wholeBody     rangeResult = iota // no range, several, or an invalid one: the whole body is sent
	onePart                          // one satisfiable range
	unsatisfiable                    // one range outside the body
)

// parseRange reads a Range of bytes (RFC 9110 14.1.2) for a body of size bytes. Several ranges are ignored, as a server may do: no player
// requests them, and multipart answers are where range attacks live.
func parseRange(s string, size int64) (offset, length int64, result rangeResult) {
	if len(s) < 6 || !strings.EqualFold(s[:6], "bytes=") {
		return 0, size, wholeBody
	}
	first, last, ok := strings.Cut(trim(s[6:]), "-")
	first, last = trim(first), trim(last)
	if !ok {
		return 0, size, wholeBody
	}
	if first == "" { // the last n bytes
		n, ok := parseBytes(last)
		switch {
		case !ok:
			return 0, size, wholeBody
		case n == 0 || size == 0:
			return 0, 0, unsatisfiable
		}
		n = min(n, size)
		return size - n, n, onePart
	}
	from, ok := parseBytes(first)
	to := int64(maxBytes)
	if ok && last != "" {
		to, ok = parseBytes(last)
	}
	switch {
	case !ok || to < from:
		return 0, size, wholeBody
	case from >= size:
		return 0, 0, unsatisfiable
	}
	return from, min(to, size-1) - from + 1, onePart
}

// maxBytes is where numbers saturate: far beyond the size of any body.
const maxBytes = 1 << 62

// parseBytes reads only digits; huge numbers saturate instead of failing.
func parseBytes(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n < maxBytes/10 {
			n = n*10 + int64(c-'0')
		} else {
			n = maxBytes
		}
	}
	return n, true
}
