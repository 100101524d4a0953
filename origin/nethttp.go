package origin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
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
	if o.guard.armed {
		req.secret = joined(r.Header, o.secretField)
	}
	var res response
	held, err := o.resolve(r.Context(), &req, &res)
	if err != nil {
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

// resolve finds the answer, and waits for a first playlist where that is allowed. An error says that the wait was cut
// short and nobody is there to be answered.
func (o *Origin) resolve(ctx context.Context, req *request, res *response) (held bool, err error) {
	o.answer(ctx, req, res)
	if res.hold == nil {
		return false, nil
	}
	if o.stats.Held.Add(1) > int64(o.opts.MaxHeld) {
		o.stats.Held.Add(-1)
		req.waited = true
		*res = response{}
		o.answer(ctx, req, res)
		return false, nil
	}
	defer o.stats.Held.Add(-1)
	o.stats.HeldTotal.Add(1)
	deadline := time.NewTimer(o.holdFor(res.hold))
	defer deadline.Stop()
	for res.hold != nil {
		select {
		case <-res.hold.Changed():
		case <-deadline.C:
			req.waited = true
		case <-o.stopping:
			req.waited = true
		case <-ctx.Done():
			return true, ctx.Err()
		}
		*res = response{}
		o.answer(ctx, req, res)
	}
	return true, nil
}

// writeBody writes the body and tells how much of it was taken. An error means that the viewer is gone, and that is all
// there is to know: the announced Content-Length shows the rest of the world that the answer is not whole.
func writeBody(w io.Writer, res *response) (sent int64) {
	switch {
	case res.segment != nil:
		for _, s := range cut(res.segment.Slices(nil), res.offset, res.length) {
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
