package origin

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// appendHead renders status line and fields (RFC 9112 4). The same fields that net/http would send are sent here.
func (o *Origin) appendHead(b []byte, res *response, now time.Time, close bool) []byte {
	b = append(b, statusLine(res.status)...)
	b = o.date.append(b, now)
	for i := range res.header() {
		f := &res.fields[i]
		b = append(b, f.name...)
		b = append(b, ": "...)
		b = append(b, f.value...)
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
	second int64
	text   string
}

func (d *date) append(b []byte, now time.Time) []byte {
	l := d.line.Load()
	if second := now.Unix(); l == nil || l.second != second {
		l = &dateLine{second, "Date: " + httpDate(now) + "\r\n"}
		d.line.Store(l)
	}
	return append(b, l.text...)
}
