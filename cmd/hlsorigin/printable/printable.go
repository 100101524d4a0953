// Package printable makes text that somebody else wrote fit for a terminal: names and addresses from a bucket may contain what moves the
// cursor, sets the window's title, or writes from right to left. It refuses to change text that is readable as it is.
package printable

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text replaces what cannot be printed by an escape: \u001b, a surrogate pair beyond the first plane, \xff for a byte that is not UTF-8. So
// JSON stays JSON. Tabs and line ends stay.
func Text(s string) string {
	if !strings.ContainsFunc(s, escaped) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !escaped(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// escaped reports whether a character is shown as an escape. So is the replacement character, which stands for bytes that are not UTF-8.
func escaped(r rune) bool {
	return r == utf8.RuneError || r != '\n' && r != '\t' && !unicode.IsPrint(r)
}

// Writer returns a writer that writes Text to w. Each Write must consist of whole characters.
func Writer(w io.Writer) io.Writer { return writer{w} }

type writer struct{ to io.Writer }

func (w writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, Text(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
