package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Trouble is what a Proxy does to matching requests. Without an effect they pass.
type Trouble struct {
	Match func(*http.Request) bool // nil: all
	Times int                      // how many requests it affects before it is used up; 0: all
	Every int                      // only every n-th matching request; 0 and 1: each

	Status int    // answered without asking the server: 503 as SlowDown, 403 as AccessDenied, others as InternalError
	Code   string // instead of the S3 code that belongs to Status
	Hang   bool   // no answer until the client leaves or the troubles are changed; then the connection is reset

	ResetRequest   int64 // reset the connection after this many bytes of the request's body; 1: at once
	ResetResponse  int64 // reset the connection after this many bytes of the answer's body; 1: at once
	LoseResponse   bool  // the server carries out the request, then the connection is reset
	BytesPerSecond int   // pace of both bodies; 0: unlimited

	// Changes to the server's answer in transit. The request is carried out, unless Page is set.
	Page     string              // sent instead of the answer, and the server is not asked; with Status, or else 200
	Header   map[string]string   // set in the answer; "" removes one
	Edit     func([]byte) []byte // replaces the answer's body; Content-Length follows the new one
	Chunked  bool                // without a Content-Length
	CutAfter int64               // without a Content-Length, and the connection is closed properly after this many bytes
	Request  func(*http.Request) // changes the request before the server gets it
}

func (t *Trouble) changesAnswer() bool {
	return t.Header != nil || t.Edit != nil || t.Chunked || t.CutAfter > 0
}

// Proxy is in front of an S3 server and causes trouble, which can be changed while it is in use.
type Proxy struct {
	URL    string // for the client
	target *url.URL
	server *httptest.Server
	client *http.Client

	mu       sync.Mutex
	troubles []*trouble
	changed  chan struct{} // closed when the troubles are changed
	requests int
	hits     int
}

type trouble struct {
	Trouble
	seen int
}

// NewProxy starts a proxy for the server at target, without any trouble. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: u, changed: make(chan struct{}), client: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	p.server = httptest.NewServer(p)
	p.URL = p.server.URL
	t.Cleanup(func() {
		p.Set() // nothing hangs any more
		p.server.CloseClientConnections()
		p.server.Close()
		p.client.CloseIdleConnections()
	})
	return p
}

// Set replaces the troubles; none heals the server. The first one that matches a request applies.
func (p *Proxy) Set(troubles ...Trouble) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.troubles = nil
	for _, t := range troubles {
		p.troubles = append(p.troubles, &trouble{Trouble: t})
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// Counts returns the number of requests, and of those that met trouble.
func (p *Proxy) Counts() (requests, hits int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests, p.hits
}

func (p *Proxy) meet(r *http.Request) (Trouble, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	for i, t := range p.troubles {
		if t.Match != nil && !t.Match(r) {
			continue
		}
		if t.seen++; t.Every > 1 && t.seen%t.Every != 0 {
			continue
		}
		p.hits++
		hit := t.Trouble
		if t.Times > 0 {
			if t.Times--; t.Times == 0 {
				p.troubles = append(p.troubles[:i:i], p.troubles[i+1:]...)
			}
		}
		return hit, p.changed
	}
	return Trouble{}, p.changed
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t, changed := p.meet(r)
	switch {
	case t.Hang:
		// The body is read, otherwise the server would not notice that the client leaves.
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-changed:
		}
		reset(w)
		return
	case t.Page != "":
		_, _ = io.Copy(io.Discard, r.Body)
		for k, v := range t.Header {
			w.Header().Set(k, v)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(t.Page)))
		w.WriteHeader(max(t.Status, http.StatusOK))
		_, _ = io.WriteString(w, t.Page) // for HEAD it is not sent
		return
	case t.Status != 0:
		_, _ = io.Copy(io.Discard, r.Body)
		fail(w, r, t)
		return
	}
	var body io.Reader = &pacedReader{ctx: r.Context(), r: r.Body, rate: t.BytesPerSecond}
	if t.ResetRequest > 0 {
		_, _ = io.CopyN(io.Discard, body, t.ResetRequest-1)
		reset(w)
		return
	}
	if r.ContentLength == 0 {
		body = http.NoBody
	}
	u := *r.URL
	u.Scheme, u.Host = p.target.Scheme, p.target.Host
	out, err := http.NewRequestWithContext(r.Context(), r.Method, u.String(), body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	out.Header, out.ContentLength, out.Host = r.Header.Clone(), r.ContentLength, r.Host // the signature covers the host
	out.Header.Del("Connection")
	if t.Request != nil {
		t.Request(out)
	}
	res, err := p.client.Do(out)
	if err != nil {
		if r.Context().Err() == nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
		return
	}
	defer res.Body.Close()
	if t.LoseResponse {
		_, _ = io.Copy(io.Discard, res.Body)
		reset(w)
		return
	}
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	if t.changesAnswer() {
		t.change(w, r, res)
		return
	}
	if res.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(res.ContentLength, 10))
	}
	w.WriteHeader(res.StatusCode)
	answer := io.Reader(&pacedReader{ctx: r.Context(), r: res.Body, rate: t.BytesPerSecond})
	if t.ResetResponse > 0 {
		_, _ = io.CopyN(w, answer, t.ResetResponse-1)
		reset(w)
		return
	}
	if t.BytesPerSecond > 0 {
		_, _ = io.Copy(flushWriter{w, http.NewResponseController(w)}, answer)
		return
	}
	_, _ = io.Copy(w, answer)
}

// flushWriter sends each piece at once.
type flushWriter struct {
	w io.Writer
	c *http.ResponseController
}

func (f flushWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.c.Flush()
	}
	return n, err
}

// reset ends the connection with a TCP RST, after what has been written.
func reset(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.Flush()
	conn, _, err := c.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

func fail(w http.ResponseWriter, r *http.Request, t Trouble) {
	code := t.Code
	if code == "" {
		switch t.Status {
		case http.StatusServiceUnavailable:
			code = "SlowDown"
		case http.StatusForbidden:
			code = "AccessDenied"
		case http.StatusNotFound:
			code = "NoSuchBucket"
		case http.StatusNotImplemented:
			code = "NotImplemented"
		default:
			code = "InternalError"
		}
	}
	body := fmt.Sprintf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>trouble on purpose</Message>"+
		"<RequestId>1</RequestId></Error>", code)
	w.Header().Set("Content-Type", "application/xml")
	t.setHeader(w.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(t.Status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, body)
	}
}

// pacedReader reads no faster than rate bytes per second, in steps of a twentieth.
type pacedReader struct {
	ctx  context.Context
	r    io.Reader
	rate int
}

func (p *pacedReader) Read(b []byte) (int, error) {
	if p.rate <= 0 {
		return p.r.Read(b)
	}
	b = b[:min(len(b), max(p.rate/20, 1))]
	n, err := p.r.Read(b)
	t := time.NewTimer(time.Duration(n) * time.Second / time.Duration(p.rate))
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ctx.Done():
		err = errors.Join(err, p.ctx.Err())
	}
	return n, err
}

// Method returns a Match for requests with an HTTP method.
func Method(method string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method }
}

// Path returns a Match for requests whose path contains text.
func Path(text string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.Contains(r.URL.Path, text) }
}
