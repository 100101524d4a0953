package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// ServeHTTP is the front end over net/http, which speaks HTTP/2. The rules of parseHead apply here too, as far as HTTP/2 lets a client
// break them.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := s.now()
	s.stats.InFlight.Add(1)
	defer s.stats.InFlight.Add(-1)
	defer s.stats.streams.Add(-1)
	many := s.stats.streams.Add(1) > int64(s.opts.MaxStreams)

	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				s.failed(p)
			}
			panic(http.ErrAbortHandler) // net/http resets the stream
		}
	}()
	out := s.outbox()
	defer s.putBack(out)
	req, res := &out.head.Request, &out.res
	v, _ := r.Context().Value(visitorKey{}).(*visitor)
	if v != nil {
		req.Remote, req.Vouched = v.Conn.RemoteAddr(), v.vouched.Load()
	}
	if v != nil {
		v.mark.Store(-begin)
		v.settle()
	}
	held := false
	switch status := s.read(r, req); {
	case status != 0:
		s.stats.Malformed.Add(1)
		s.opts.Handler.Refuse(status, res)
	case many || v != nil && v.guest.Load() && !v.welcome(&out.head):
		s.stats.Refused.Add(1)
		s.opts.Handler.Refuse(503, res)
	default:
		s.opts.Handler.Answer(r.Context(), req, res)
		if v != nil {
			v.vouch(res)
		}
		if held = res.Hold != nil; held && s.await(r.Context(), req, res) != nil {
			panic(http.ErrAbortHandler) // the client left, or the server is being closed: nobody reads an answer
		}
	}
	h := w.Header()
	values := make([]string, res.n) // one allocation for all fields
	for i, f := range res.Fields() {
		values[i] = f.Value
		h[f.Name] = values[i : i+1 : i+1]
	}
	if res.Close || out.head.close || v != nil && v.guest.Load() {
		h.Set("Connection", "close") // net/http turns it into GOAWAY
	}
	w.WriteHeader(res.Status)
	var sent int64
	var err error
	if req.Method != MethodHead {
		if r.ProtoMajor == 2 {
			w = &streamWriter{w, http.NewResponseController(w), s}
		}
		sent, err = s.writeBody(w, out)
	}
	s.opts.Done(Outcome{Status: res.Status, Class: res.Class, Sent: sent, Took: time.Duration(s.now() - begin), Held: held})
	if err == errRevoked {
		panic(http.ErrAbortHandler) // the client learns that the answer is incomplete
	}
}

// read makes a Request from one that net/http has read. It returns the status to refuse it with, or 0.
func (s *Server) read(r *http.Request, req *Request) int {
	req.Method = methodOf(r.Method)
	if !isToken([]byte(r.Method)) || !req.target(r.RequestURI, r.Method == http.MethodConnect) || !properHost(r.Host) {
		return 400
	}
	if hosts := r.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && hosts[0] != r.Host {
		return 400
	}
	lengths := r.Header["Content-Length"]
	body := r.ContentLength != 0
	if len(lengths) > 0 {
		if len(lengths) > 1 || !properLength(lengths[0]) {
			return 400
		}
		body = body || lengths[0] != "0"
	}
	if len(r.TransferEncoding) > 0 || len(r.Header["Transfer-Encoding"]) > 0 {
		return 400 // RFC 9113 8.2.2
	}
	if body && req.Method != MethodOther {
		return 400
	}
	req.AcceptEncoding = joined(r.Header, "Accept-Encoding")
	req.IfMatch = joined(r.Header, "If-Match")
	req.IfNoneMatch = joined(r.Header, "If-None-Match")
	req.IfModifiedSince = joined(r.Header, "If-Modified-Since")
	req.IfUnmodifiedSince = joined(r.Header, "If-Unmodified-Since")
	req.IfRange = joined(r.Header, "If-Range")
	req.Range = joined(r.Header, "Range")
	req.Origin = joined(r.Header, "Origin")
	if s.opts.Extra != "" {
		req.Extra = joined(r.Header, s.opts.Extra)
	}
	return 0
}

// joined returns a field as one line.
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

// writeBody writes the body and returns how much of it was taken. Unless it is errRevoked, an error means that the client is gone and
// nothing else; the announced Content-Length shows everybody else that the answer is incomplete.
func (s *Server) writeBody(w io.Writer, out *outbox) (sent int64, err error) {
	res, began := &out.res, s.now()
	switch {
	case res.Pieces != nil:
		out.list = res.Pieces.Slices(out.list[:0])
		lent, revocable := res.Pieces.(revocable)
		first, last := cut(out.list, res.Offset, res.Length)
		for _, piece := range out.list[first:last] {
			if revocable && s.now()-began > int64(s.opts.WriteTimeout) && lent.Revoked() {
				s.stats.Revoked.Add(1)
				err = errRevoked
				break
			}
			var n int
			n, err = w.Write(piece)
			if sent += int64(n); err != nil {
				break
			}
		}
		clear(out.list)
	case res.File != nil:
		sent, err = io.CopyN(w, res.File, res.Length)
	case res.Bytes != nil:
		var n int
		n, err = w.Write(res.Bytes[res.Offset : res.Offset+res.Length])
		sent = int64(n)
	}
	return sent, err
}

// streamWriter gives every part of a body on an HTTP/2 stream its own deadline: a client can stall by keeping its window closed, which the
// connection beneath does not show.
type streamWriter struct {
	http.ResponseWriter
	rc *http.ResponseController
	s  *Server
}

func (w *streamWriter) Write(b []byte) (int, error) {
	if err := w.rc.SetWriteDeadline(time.Now().Add(w.s.opts.WriteTimeout)); err != nil {
		return 0, err
	}
	n, err := w.ResponseWriter.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.s.stats.SlowViewers.Add(1)
	}
	return n, err
}

// visitorKey is the context key of the connection that a request came on.
type visitorKey struct{}

func withVisitor(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, visitorKey{}, visitorOf(c))
}

// visitorOf returns the visitor behind a connection that was given to net/http.
func visitorOf(c net.Conn) *visitor { return c.(*tls.Conn).NetConn().(*conn).of }

// noteState maintains the mark of a connection that net/http has.
func noteState(c net.Conn, state http.ConnState) {
	switch v := visitorOf(c); state {
	case http.StateActive:
		v.mark.Store(-v.s.now())
	case http.StateIdle:
		v.mark.Store(v.s.now())
	}
}
