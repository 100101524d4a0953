package storetest

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// change sends a modified version of the server's answer.
func (t *Trouble) change(w http.ResponseWriter, r *http.Request, res *http.Response) {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		reset(w)
		return
	}
	size := res.ContentLength
	if t.Edit != nil {
		body = t.Edit(body)
		size = int64(len(body))
	}
	switch {
	case t.CutAfter > 0:
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer conn.Close()
		h := res.Header.Clone()
		h.Del("Content-Length")
		t.setHeader(h)
		fmt.Fprintf(buf, "HTTP/1.1 %s\r\nConnection: close\r\n", res.Status)
		_ = h.Write(buf)
		_, _ = buf.WriteString("\r\n")
		if r.Method != http.MethodHead {
			_, _ = buf.Write(body[:min(t.CutAfter, int64(len(body)))])
		}
		_ = buf.Flush()
		return
	case t.Chunked:
		w.Header().Del("Content-Length")
	case size >= 0:
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	t.setHeader(w.Header())
	w.WriteHeader(res.StatusCode)
	if t.Chunked {
		_ = http.NewResponseController(w).Flush()
	}
	_, _ = w.Write(body) // for HEAD it is not sent
}

func (t *Trouble) setHeader(h http.Header) {
	for k, v := range t.Header {
		if h.Del(k); v != "" {
			h.Set(k, v)
		}
	}
}
