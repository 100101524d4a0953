package cdn

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// visit is one request that reached a server.
type visit struct {
	key          string // path, query and encoding: what the edge distinguishes
	came         time.Time
	status       int // 0: there was no answer
	cacheControl string
	fields       http.Header // of the request
}

// visits is a log of them.
type visits struct {
	mu  sync.Mutex
	all []visit
}

func (l *visits) add(v visit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, v)
}

// since returns the visits from an instant on, in order.
func (l *visits) since(t time.Time) (out []visit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.all {
		if !v.came.Before(t) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b visit) int { return a.came.Compare(b.came) })
	return out
}

// of counts the visits whose key contains a text.
func (l *visits) of(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.all {
		if strings.Contains(v.key, text) {
			n++
		}
	}
	return n
}

// saw waits until one request with a text in its key is written down, which happens after its answer has gone.
func (p *tap) saw(t *testing.T, text string) {
	t.Helper()
	rig.Eventually(t, 10*time.Second, "the server was asked for "+text+", once", func() bool { return p.log.of(text) == 1 })
}

// tap is between the edge and the server. It logs the requests, and can be shut, like a firewall that refuses the public port.
type tap struct {
	t       *testing.T
	address string
	proxy   *httputil.ReverseProxy
	log     visits

	mu     sync.Mutex
	server *http.Server // nil: shut
	done   chan struct{}
}

func newTap(t *testing.T, origin string) *tap {
	t.Helper()
	p := &tap{t: t, address: rig.FreeAddress(t)}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64, IdleConnTimeout: 5 * time.Second}
	p.proxy = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", origin
			r.Out.URL.RawQuery = r.In.URL.RawQuery // with semicolons, which a manifest filter contains
			r.Out.Header["X-Forwarded-For"] = nil
		},
		// To the edge, a server that is away looks like a broken connection.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	p.open()
	t.Cleanup(func() {
		p.shut()
		transport.CloseIdleConnections()
	})
	return p
}

func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := &statusWriter{ResponseWriter: w}
	v := visit{key: r.URL.RequestURI() + " " + r.Header.Get("Accept-Encoding"), came: time.Now(), fields: r.Header.Clone()}
	defer func() {
		v.status, v.cacheControl = s.status, w.Header().Get("Cache-Control")
		p.log.add(v)
	}()
	p.proxy.ServeHTTP(s, r)
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// open lets requests through.
func (p *tap) open() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		return
	}
	l := rig.Listen(p.t, p.address)
	server, done := &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)}, make(chan struct{})
	p.server, p.done = server, done
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.t.Error(err)
		}
	}()
}

// shut breaks all connections and accepts no more.
func (p *tap) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		return
	}
	_ = p.server.Close()
	<-p.done
	p.server = nil
}

// excess returns requests that came for an object before the edge's copy of it had reached its age.
func (p *tap) excess(r rules) (faults []string) {
	last := map[string]visit{}
	for _, v := range p.log.since(time.Time{}) {
		if old, ok := last[v.key]; ok {
			age := r.age(v.key, old.status, old.cacheControl)
			// The copy is younger than its request; the rest allows for clocks in different processes.
			if wait := v.came.Sub(old.came); wait < age-50*time.Millisecond {
				faults = append(faults, fmt.Sprintf("%s: asked for %v after it was answered %d %q", v.key, wait, old.status, old.cacheControl))
			}
		}
		last[v.key] = v
	}
	return faults
}
