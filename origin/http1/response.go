package http1

import (
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// Field is one header field; the name is spelled as it is sent.
type Field struct{ Name, Value string }

// MaxFields is the maximum number of fields of an answer.
const MaxFields = 20

// Pieces is a body in memory that is lent to an answer.
type Pieces interface {
	// Slices appends the consecutive slices of the body to dst.
	Slices(dst [][]byte) [][]byte
	// Release returns the body; it is called once.
	Release()
}

// revocable is implemented by Pieces whose owner may want their memory back before they are sent: a slow client's connection is then
// closed.
type revocable interface{ Revoked() bool }

// Response is an answer before it is sent. It is sent once and closed once. The server itself sets Date and Connection.
type Response struct {
	Status int
	Class  uint8 // the handler's own, for Outcome
	Close  bool  // the connection ends after it
	Vouch  bool  // the client is known: its connection need not make room for others

	// The body is at most one of these. Of Bytes and Pieces, Length bytes from Offset on are sent; of File, Length bytes from its current
	// position. The kernel sends an *os.File. For HEAD nothing is sent.
	Bytes  []byte
	Pieces Pieces
	File   io.ReadCloser
	Offset int64
	Length int64

	// Hold requests to wait until it is closed, for at most HoldFor, and then to ask again. Nothing else is set then.
	Hold    <-chan struct{}
	HoldFor time.Duration

	n      int
	fields [MaxFields]Field
}

// Add appends a header field.
func (r *Response) Add(name, value string) {
	r.fields[r.n] = Field{name, value}
	r.n++
}

// Fields returns the header fields. The result is valid until the next Add.
func (r *Response) Fields() []Field { return r.fields[:r.n] }

// Reset returns what the answer borrowed and empties the answer, except for its class.
func (r *Response) Reset() {
	r.release()
	*r = Response{Class: r.Class}
}

// release returns what the answer borrowed.
func (r *Response) release() {
	if r.Pieces != nil {
		r.Pieces.Release()
		r.Pieces = nil
	}
	if r.File != nil {
		_ = r.File.Close()
		r.File = nil
	}
}

// cut finds length bytes from offset on in consecutive slices. They are slices[first:last], whose ends are trimmed in place.
func cut(slices [][]byte, offset, length int64) (first, last int) {
	for first < len(slices) && offset >= int64(len(slices[first])) {
		offset -= int64(len(slices[first]))
		first++
	}
	for last = first; last < len(slices) && length > 0; last++ {
		slices[last] = slices[last][offset:]
		offset = 0
		if int64(len(slices[last])) > length {
			slices[last] = slices[last][:length]
		}
		length -= int64(len(slices[last]))
	}
	return first, last
}

// appendHead renders status line and fields (RFC 9112 4). The same fields that net/http would send are sent here.
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
	until int64 // the end of its second, of Server.now
	text  string
}

// append adds the field for at, a time of Server.now; clock tells which second that is.
func (d *date) append(b []byte, at int64, clock func() time.Time) []byte {
	l := d.line.Load()
	if l == nil || at >= l.until {
		now := clock()
		l = &dateLine{at + 1e9 - int64(now.Nanosecond()), "Date: " + now.UTC().Format(http.TimeFormat) + "\r\n"}
		d.line.Store(l)
	}
	return append(b, l.text...)
}
