package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine outlives its test.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers with what was requested, in the field X-Asked and the body:
//
//	/body/N    N bytes, in memory
//	/pieces/N  N bytes in pieces
//	/hold      waits for echo.hold, for a minute at most
//	/secret    vouches for its client
//	/close     ends the connection
type echo struct {
	mu      sync.Mutex
	asked   []string
	remotes []net.Addr
	hold    chan struct{}
}

func (e *echo) Answer(_ context.Context, req *Request, res *Response) {
	asked := strings.Clone(strconv.Itoa(int(req.Method)) + " " + req.Path + "?" + req.Query)
	e.mu.Lock()
	e.asked = append(e.asked, asked)
	e.remotes = append(e.remotes, req.Remote)
	e.mu.Unlock()
	status, body := 200, []byte(asked+"\n")
	what, number, _ := strings.Cut(strings.TrimPrefix(req.Path, "/"), "/")
	n, _ := strconv.Atoi(number)
	switch {
	case req.Method == MethodOther:
		status = 405
	case what == "body":
		body = bytes.Repeat([]byte("b"), n)
	case what == "pieces":
		res.Pieces, body = pieces(n), nil
		res.Length = int64(n)
	case what == "hold" && !req.Waited:
		select {
		case <-e.hold:
		default:
			res.Hold, res.HoldFor = e.hold, time.Minute
			return
		}
	case what == "secret":
		res.Vouch = true
	case what == "close":
		res.Close = true
	}
	res.Status = status
	res.Add("X-Asked", asked)
	if body != nil {
		res.Bytes, res.Length = body, int64(len(body))
	}
	res.Add("Content-Length", strconv.FormatInt(res.Length, 10))
}

func (e *echo) Refuse(status int, res *Response) {
	res.Status, res.Bytes, res.Length = status, []byte("no\n"), 3
	res.Add("Content-Length", "3")
}

// times counts the requests for a path.
func (e *echo) times(path string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range e.asked {
		if strings.Contains(a, " "+path+"?") {
			n++
		}
	}
	return n
}

// pieces is a body with that many bytes.
type pieces int

func (p pieces) Slices(dst [][]byte) [][]byte {
	for n := int(p); n > 0; n -= 10_000 {
		dst = append(dst, bytes.Repeat([]byte("p"), min(n, 10_000)))
	}
	return dst
}

func (pieces) Release() {}

// rig is a server on sockets.
type rig struct {
	t      testing.TB
	s      *Server
	echo   *echo
	plain  string // addresses
	secure string
}

// newRig serves until the test ends. Paths under /quick are answered by pollers.
func newRig(t testing.TB, opts Options) *rig {
	t.Helper()
	r := &rig{t: t, echo: &echo{hold: make(chan struct{})}}
	opts.Handler = r.echo
	opts.Quick = func(req *Request) bool { return strings.HasPrefix(req.Path, "/quick") }
	r.s = New(opts)
	r.plain = r.serve(r.s.Serve)
	cfg := &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, NextProtos: []string{"h2", "http/1.1"}}
	r.secure = r.serve(func(ctx context.Context, l net.Listener) error { return r.s.ServeTLS(ctx, l, cfg) })
	return r
}

func (r *rig) serve(serve func(context.Context, net.Listener) error) string {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, l) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// dial connects to the plain port or, with "TLS", to the other.
func (r *rig) dial(port string) net.Conn {
	r.t.Helper()
	return dial(r.t, map[bool]string{false: r.plain, true: r.secure}[port == "TLS"], port == "TLS")
}

func dial(t testing.TB, addr string, secure bool) net.Conn {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// reply is an answer, and the request as reported by the server.
type reply struct {
	status int
	asked  string
	close  bool
	body   string
}

// replies reads answers until the connection ends, or as many as there are methods.
func replies(c net.Conn, methods ...string) (all []reply) {
	b := bufio.NewReader(c)
	for _, m := range methods {
		res, err := http.ReadResponse(b, &http.Request{Method: m})
		for err == nil && res.StatusCode == 100 { // nginx sends it to clients that expect it
			res, err = http.ReadResponse(b, &http.Request{Method: m})
		}
		if err != nil {
			return all
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return all
		}
		all = append(all, reply{res.StatusCode, res.Header.Get("X-Asked"), res.Close, string(body)})
	}
	return all
}

// await waits until a condition is true.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: never came", what)
		}
	}
}

// dialHTTP2 opens a connection that speaks HTTP/2.
func dialHTTP2(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}
