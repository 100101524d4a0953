package origin

import (
	"bytes"
	"net/url"
	"strings"
	"unsafe"
)

// head is a parsed request head.
type head struct {
	request
	// close says that the connection ends after the answer: the client wants it so, speaks HTTP/1.0, or announced a body
	// that nobody is going to read.
	close bool
	old   bool // HTTP/1.0
	// bad is the status of a head that is refused before its path is looked at; 0 for a proper one.
	bad int
}

// headEnd finds the end of a head: the length up to and with the empty line; 0 where it is not all there. The search
// begins at from, the start of a line; where it ended is the start for the next one. A line may only end in CR LF (RFC
// 9112 2.2 lets a server take a bare LF; proxies differ about it, which is how requests are smuggled): bad says so.
func headEnd(b []byte, from int) (length, next int, bad bool) {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		switch {
		case i < 0:
			return 0, from, false
		case i == 0 || b[from+i-1] != '\r':
			return 0, from, true
		case i == 1:
			return from + 2, from, false
		}
		from += i + 1
	}
}

// parseHead reads a whole head, empty line included (RFC 9112). The strings of the result point into b, except where a
// field came more than once or the path had to be decoded. What it does not understand in full it refuses: a request
// that two servers could read differently gets no answer but 400 and a closed connection.
func parseHead(b []byte, secretField string, h *head) {
	line, rest := cutLine(b)
	if h.bad = h.requestLine(line); h.bad != 0 {
		h.close = true
		return
	}
	var seen struct{ hosts, lengths, body int }
	for {
		line, rest = cutLine(rest)
		if len(line) == 0 {
			break
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 || !isToken(line[:colon]) {
			h.bad, h.close = 400, true
			return
		}
		name, value := line[:colon], alias(bytes.Trim(line[colon+1:], " \t"))
		switch len(name) {
		case len("host"):
			if isField(name, "host") {
				seen.hosts++
			}
		case len("range"):
			h.field(name, "range", &h.byteRange, value)
		case len("origin"):
			h.field(name, "origin", &h.origin, value)
		case len("if-range"):
			h.field(name, "if-range", &h.ifRange, value)
			h.field(name, "if-match", &h.ifMatch, value)
		case len("connection"):
			if isField(name, "connection") && hasOption(value, "close") {
				h.close = true
			}
		case len("if-none-match"):
			h.field(name, "if-none-match", &h.ifNoneMatch, value)
		case len("content-length"):
			if isField(name, "content-length") {
				if seen.lengths++; value != "0" {
					seen.body++
				}
			}
		case len("accept-encoding"):
			h.field(name, "accept-encoding", &h.acceptEncoding, value)
		case len("if-modified-since"):
			h.field(name, "if-modified-since", &h.ifModifiedSince, value)
			if isField(name, "transfer-encoding") {
				seen.body++
			}
		case len("if-unmodified-since"):
			h.field(name, "if-unmodified-since", &h.ifUnmodifiedSince, value)
		}
		if secretField != "" && len(name) == len(secretField) {
			h.field(name, secretField, &h.secret, value)
		}
	}
	switch {
	case seen.hosts > 1 || seen.lengths > 1 || seen.hosts == 0 && !h.old:
		h.bad, h.close = 400, true
	case seen.body > 0 && h.method != methodOther: // a body that a GET must not have
		h.bad, h.close = 400, true
	case seen.body > 0 || h.old:
		h.close = true
	}
}

// requestLine reads "GET /path?query HTTP/1.1"; its result is the status to refuse it with.
func (h *head) requestLine(line []byte) int {
	first := bytes.IndexByte(line, ' ')
	last := bytes.LastIndexByte(line, ' ')
	if first <= 0 || last <= first+1 || !isToken(line[:first]) {
		return 400
	}
	target, version := line[first+1:last], line[last+1:]
	for _, c := range target {
		if c <= ' ' || c == 0x7f {
			return 400
		}
	}
	switch {
	case string(version) == "HTTP/1.1":
	case string(version) == "HTTP/1.0":
		h.old = true
	case len(version) == 8 && string(version[:5]) == "HTTP/" && version[6] == '.':
		return 505
	default:
		return 400
	}
	h.method = methodOf(alias(line[:first]))
	h.length = len(target)
	path := alias(target)
	path, h.query, _ = strings.Cut(path, "?")
	if path == "" || path[0] != '/' {
		switch {
		case path == "*" && h.method == methodOptions || h.method == methodOther:
		case len(path) > 7 && strings.EqualFold(path[:7], "http://"): // as a proxy is asked (RFC 9112 3.2.2)
			_, rest, _ := strings.Cut(path[7:], "/")
			path = "/" + rest
		default:
			return 400
		}
	}
	if strings.IndexByte(path, '%') >= 0 {
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return 400
		}
		path = decoded
	}
	h.path = path
	return 0
}

// field keeps the value where the name is the one that is looked for.
func (h *head) field(name []byte, want string, to *string, value string) {
	switch {
	case !isField(name, want):
	case *to == "":
		*to = value
	default:
		*to += ", " + value
	}
}

// cutLine splits off the first line; its CR LF is dropped.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	return b[:i-1], b[i+1:]
}

// isField compares a field name with one in lower case.
func isField(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range name {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// hasOption looks for a word in a list separated by commas.
func hasOption(list, want string) bool {
	for list != "" {
		var item string
		item, list, _ = strings.Cut(list, ",")
		if strings.EqualFold(trim(item), want) {
			return true
		}
	}
	return false
}

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

// alias is b as a string without a copy: it changes when b does.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
