package http1

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// appendHead renders the status line and fields (RFC 9112 4), the same fields that net/http would send.
func (s *Server) appendHead(b []byte, res *Response, close bool) []byte {
	b = append(b, statusLine(res.Status)...)
	b = s.date.append(b, s.now(), s.opts.Now)
	for i := range res.Fields() {
		f := &res.fields[i]
		b = append(b, f.Name...)
		b = append(b, ": "...)
		b = append(b, f.Value...)
		b = append(b, "\r\n"...)
	}
	if close {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

func statusLine(status int) string {
	switch status {
	case 200:
		return "HTTP/1.1 200 OK\r\n"
	case 206:
		return "HTTP/1.1 206 Partial Content\r\n"
	case 304:
		return "HTTP/1.1 304 Not Modified\r\n"
	case 404:
		return "HTTP/1.1 404 Not Found\r\n"
	}
	return "HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n"
}

// date renders the Date field once a second.
type date struct{ line atomic.Pointer[dateLine] }

type dateLine struct {
	until int64 // the end of its second, in Server.now
	text  string
}

// append adds the field for at, a time of Server.now; clock returns the second it falls into.
func (d *date) append(b []byte, at int64, clock func() time.Time) []byte {
	l := d.line.Load()
	if l == nil || at >= l.until {
		now := clock()
		l = &dateLine{at + 1e9 - int64(now.Nanosecond()), "Date: " + now.UTC().Format(http.TimeFormat) + "\r\n"}
		d.line.Store(l)
	}
	return append(b, l.text...)
}
