package origin

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
)

// ServeHTTP is the front-end over net/http: it serves HTTP/2, and whatever the loop of our own leaves to it.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := o.opts.Now()
	o.stats.InFlight.Add(1)
	defer o.stats.InFlight.Add(-1)

	req := request{
		method: methodOf(r.Method), path: r.URL.Path, query: r.URL.RawQuery, length: len(r.RequestURI),
		acceptEncoding:    joined(r.Header, "Accept-Encoding"),
		ifMatch:           joined(r.Header, "If-Match"),
		ifNoneMatch:       joined(r.Header, "If-None-Match"),
		ifModifiedSince:   joined(r.Header, "If-Modified-Since"),
		ifUnmodifiedSince: joined(r.Header, "If-Unmodified-Since"),
		ifRange:           joined(r.Header, "If-Range"),
		byteRange:         joined(r.Header, "Range"),
		origin:            joined(r.Header, "Origin"),
	}
	if o.secretField != "" {
		req.secret = joined(r.Header, o.secretField)
	}
	var res response
	o.answer(r.Context(), &req, &res)
	held := res.hold != nil
	if held && o.await(r.Context(), &req, &res) != nil {
		panic(http.ErrAbortHandler) // the client left, or the server is being closed: nobody reads an answer
	}
	defer res.close()

	h := w.Header()
	values := make([]string, res.n) // one allocation for all fields
	for i, f := range res.header() {
		values[i] = f.value
		h[f.name] = values[i : i+1 : i+1]
	}
	w.WriteHeader(res.status)
	var sent int64
	if req.method != methodHead {
		if r.ProtoMajor == 2 {
			sent = writeBody(&streamWriter{w, http.NewResponseController(w), o}, &res)
		} else {
			sent = writeBody(w, &res)
		}
	}
	o.stats.done(&res, sent, o.opts.Now().Sub(begin), held)
}

// joined is a field in one line.
func joined(h http.Header, name string) string {
	switch v := h[name]; len(v) {
	case 0:
		return ""
	case 1:
		return v[0]
	default:
		return strings.Join(v, ", ")
	}
}

// writeBody writes the body and tells how much of it was taken. An error means that the viewer is gone, and that is all
// there is to know: the announced Content-Length shows the rest of the world that the answer is not whole.
func writeBody(w io.Writer, res *response) (sent int64) {
	switch {
	case res.segment != nil:
		slices := res.segment.Slices(nil)
		first, last := cut(slices, res.offset, res.length)
		for _, s := range slices[first:last] {
			n, err := w.Write(s)
			sent += int64(n)
			if err != nil {
				return sent
			}
		}
	case res.object.Body != nil:
		sent, _ = io.CopyN(w, res.object.Body, res.length)
	case res.bytes != nil:
		n, _ := w.Write(res.bytes[res.offset : res.offset+res.length])
		sent = int64(n)
	}
	return sent
}

// streamWriter gives every part of a body on an HTTP/2 stream its own deadline: there a viewer stalls by keeping its
// window shut, which the connection below never shows.
type streamWriter struct {
	w  io.Writer
	rc *http.ResponseController
	o  *Origin
}

func (s *streamWriter) Write(b []byte) (int, error) {
	if err := s.rc.SetWriteDeadline(s.o.opts.Now().Add(s.o.opts.WriteTimeout)); err != nil {
		return 0, err
	}
	n, err := s.w.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.o.stats.SlowViewers.Add(1)
	}
	return n, err
}
