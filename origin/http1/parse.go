package http1

import (
	"bytes"
	"strings"
	"unsafe"
)

// head is a parsed request head.
type head struct {
	Request
	// close reports that the connection ends after the answer: the client wants that, speaks HTTP/1.0, or announced a body that is not
	// going to be read.
	close bool
	old   bool // HTTP/1.0
	// bad is the status of a head that is refused before its path is examined; 0 for a valid one.
	bad int
}

// headEnd finds the end of a head and returns the length up to and including the empty line, or 0 if it is incomplete. The search begins at
// from, the start of a line, and returns where the next search shall begin. A line must end in CR LF: RFC 9112 2.2 lets a server accept a
// bare LF, but proxies differ about it, which is how requests are smuggled. bad reports a bare LF.
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

// seen counts fields that may come at most once.
type seen struct {
	hosts, lengths, encodings int
	body                      bool // a length greater than zero, or an encoding
}

// parseHead parses a complete head, including the empty line (RFC 9112). The strings of the result point into b, unless a field came more
// than once. It refuses what it does not fully understand: a request that two servers could read differently gets only a 400 and a closed
// connection. The name of the extra field is in lower case.
func parseHead(b []byte, extra string, h *head) {
	line, rest := cutLine(b)
	if h.bad = h.requestLine(line); h.bad != 0 {
		h.close = true
		return
	}
	var seen seen
	for {
		line, rest = cutLine(rest)
		if len(line) == 0 {
			break
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || !isToken(line[:colon]) || !properLine(line[colon+1:]) ||
			!h.known(&seen, line[:colon], alias(bytes.Trim(line[colon+1:], " \t")), extra) {
			h.bad, h.close = 400, true
			return
		}
	}
	switch {
	case seen.hosts > 1 || seen.lengths > 1 || seen.encodings > 1 || seen.hosts == 0 && !h.old:
		h.bad, h.close = 400, true
	case seen.encodings > 0 && (seen.lengths > 0 || h.old):
		h.bad, h.close = 400, true
	case seen.body && h.Method != MethodOther: // a GET must not have a body
		h.bad, h.close = 400, true
	case seen.body || h.old:
		h.close = true
	}
}

// known stores the value of a field that is needed. It returns false if the field makes the request malformed.
func (h *head) known(seen *seen, name []byte, value, extra string) bool {
	switch len(name) {
	case len("host"):
		if isField(name, "host") {
			seen.hosts++
			return properHost(value)
		}
	case len("range"):
		h.field(name, "range", &h.Range, value)
	case len("origin"):
		h.field(name, "origin", &h.Origin, value)
	case len("if-range"):
		h.field(name, "if-range", &h.IfRange, value)
		h.field(name, "if-match", &h.IfMatch, value)
	case len("connection"):
		if isField(name, "connection") && hasOption(value, "close") {
			h.close = true
		}
	case len("if-none-match"):
		h.field(name, "if-none-match", &h.IfNoneMatch, value)
	case len("content-length"):
		if isField(name, "content-length") {
			seen.lengths++
			seen.body = seen.body || value != "0"
			return properLength(value)
		}
	case len("accept-encoding"):
		h.field(name, "accept-encoding", &h.AcceptEncoding, value)
	case len("if-modified-since"):
		h.field(name, "if-modified-since", &h.IfModifiedSince, value)
		if isField(name, "transfer-encoding") {
			seen.encodings++
			seen.body = true
			return strings.EqualFold(value, "chunked")
		}
	case len("if-unmodified-since"):
		h.field(name, "if-unmodified-since", &h.IfUnmodifiedSince, value)
	}
	if extra != "" && len(name) == len(extra) {
		h.field(name, extra, &h.Extra, value)
	}
	return true
}

// requestLine parses "GET /path?query HTTP/1.1". It returns the status to refuse it with, or 0.
func (h *head) requestLine(line []byte) int {
	first := bytes.IndexByte(line, ' ')
	last := bytes.LastIndexByte(line, ' ')
	if first <= 0 || last <= first+1 || !isToken(line[:first]) {
		return 400
	}
	version := line[last+1:]
	switch {
	case string(version) == "HTTP/1.1":
	case string(version) == "HTTP/1.0":
		h.old = true
	case len(version) == 8 && string(version[:5]) == "HTTP/" && isDigit(version[5]) && version[6] == '.' && isDigit(version[7]):
		return 505
	default:
		return 400
	}
	h.Method = methodOf(alias(line[:first]))
	if !h.target(alias(line[first+1:last]), string(line[:first]) == "CONNECT") {
		return 400
	}
	return 0
}

// target parses a request target (RFC 9112 3.2). It returns false if it is invalid. Nothing is decoded.
func (h *Request) target(s string, connect bool) bool {
	h.Length = len(s)
	if !properTarget(s) {
		return false
	}
	path, query, _ := strings.Cut(s, "?")
	switch {
	case path != "" && path[0] == '/':
	case path == "*" && h.Method == MethodOptions:
	case connect:
		if !properHost(path) {
			return false
		}
	default: // absolute form, as sent to a proxy
		_, rest, ok := strings.Cut(path, "://")
		scheme := path[:len(path)-len(rest)]
		if !ok || !strings.EqualFold(scheme, "http://") && !strings.EqualFold(scheme, "https://") {
			return false
		}
		host, _, _ := strings.Cut(rest, "/")
		if !properHost(host) {
			return false
		}
		if path = rest[len(host):]; path == "" {
			path = "/"
		}
	}
	h.Path, h.Query = path, query
	return properEscapes(path)
}

// field stores the value if the name matches.
func (h *head) field(name []byte, want string, to *string, value string) {
	switch {
	case !isField(name, want):
	case *to == "":
		*to = value
	default:
		*to += ", " + value
	}
}

// cutLine splits off the first line, without its CR LF.
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

// hasOption reports whether a comma-separated list contains a word.
func hasOption(list, want string) bool {
	for list != "" {
		var item string
		item, list, _ = strings.Cut(list, ",")
		if strings.EqualFold(strings.Trim(item, " \t"), want) {
			return true
		}
	}
	return false
}

// alias returns b as a string without copying: it changes when b does.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
