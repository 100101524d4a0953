package origin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// rig is a registry fed by a test, an archive in a directory, and an origin over both on a real socket.
type rig struct {
	mode      string // how it serves; empty: pollers
	t         testing.TB
	reg       *segmenter.Registry
	archive   *dirArchive
	origin    *Origin
	forgetful atomic.Bool // the origin shall know no stream any more
	url       string
	addr      string
	own       *http.Client
	tracks    bool // its low-latency playlists are those of a track

	mu  sync.Mutex
	now time.Time // the registry's time
}

// The ways in which a rig serves.
const (
	pollers    = "pollers"    // plain, as on Linux
	goroutines = "goroutines" // plain, as on systems without pollers
	overTLS    = "TLS"
	http2      = "HTTP2"
)

// engines runs a test over every way that a request can come in.
func engines(t *testing.T, opts Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	over(t, opts, test, pollers, goroutines, overTLS, http2)
}

// engines1 does the same for HTTP/1.1, for tests that write requests themselves.
func engines1(t *testing.T, opts Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	over(t, opts, test, pollers, goroutines, overTLS)
}

func over(t *testing.T, opts Options, test func(t *testing.T, r *rig), modes ...string) {
	t.Helper()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			r := newRigOver(t, opts, mode)
			r.serve()
			test(t, r)
		})
	}
}

func newRigOver(t testing.TB, opts Options, mode string) *rig {
	t.Helper()
	if mode == overTLS || mode == http2 {
		dir := t.TempDir()
		opts.TLS = &TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
		certificate(t, *opts.TLS)
	}
	r := newRig(t, opts)
	r.mode = mode
	return r
}

// newRig returns a rig whose registry's clock is an hour slow, so that recordings lie in the past.
func newRig(t testing.TB, opts Options) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Now().Add(-time.Hour).Truncate(time.Millisecond), archive: &dirArchive{dir: t.TempDir()}}
	r.reg = segmenter.NewRegistry(segmenter.Options{
		Apps: map[string]segmenter.AppOptions{"live": {Window: 24 * time.Second}},
		Now:  r.clock,
	})
	opts.Streams = r
	if opts.Archive == nil {
		opts.Archive = r.archive
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	r.origin = New(opts)
	return r
}

func (r *rig) Timeline(app, stream string) *segmenter.Timeline {
	if r.forgetful.Load() {
		return nil
	}
	return r.reg.Timeline(app, stream)
}

func (r *rig) Recording(app, stream string, id segmenter.RecordingID) *segmenter.Timeline {
	if r.forgetful.Load() {
		return nil
	}
	return r.reg.Recording(app, stream, id)
}

// nowhere knows no stream.
type nowhere struct{}

func (nowhere) Timeline(string, string) *segmenter.Timeline { return nil }
func (nowhere) Recording(string, string, segmenter.RecordingID) *segmenter.Timeline {
	return nil
}

// serve starts the origin on a socket and stops it with the test.
func (r *rig) serve() {
	r.t.Helper()
	stop := r.start()
	r.t.Cleanup(func() {
		if err := stop(); err != nil {
			r.t.Errorf("serve: %v", err)
		}
	})
}

// start does the same, and leaves stopping to the caller.
func (r *rig) start() (stop func() error) {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.client()
	r.addr, r.url = l.Addr().String(), "http://"+l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	serve := r.origin.Serve
	switch r.mode {
	case goroutines:
		l = hidingListener{l}
	case overTLS, http2:
		serve, r.url = r.origin.ServeTLS, "https://"+r.addr
	}
	go func() { done <- serve(ctx, l) }()
	return func() error {
		r.client().CloseIdleConnections()
		cancel()
		return <-done
	}
}

// client returns a client that speaks the rig's protocol. Each request has its own connection.
func (r *rig) client() *http.Client {
	if r.own == nil { // start has asked first
		tr := &http.Transport{DisableCompression: true, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: r.mode == http2}
		r.own = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return r.own
}

// dial connects, with TLS if the rig uses it.
func (r *rig) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	if r.mode == overTLS {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// hidingListener returns connections that no poller can take, as on systems without pollers.
type hidingListener struct{ net.Listener }

func (l hidingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return hiddenConn{tcp}, err
	}
	return c, err
}

type hiddenConn struct{ *net.TCPConn }

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// advance advances the registry's clock.
func (r *rig) advance(d time.Duration) {
	r.mu.Lock()
	r.now = r.now.Add(d)
	now := r.now
	r.mu.Unlock()
	r.reg.Expire(now)
}

// encoder publishes video at 25 frames per second with a keyframe every two seconds.
type encoder struct {
	r     *rig
	s     ingest.Session
	track *ingest.Track
	n     int64
	size  int // bytes of a picture
}

var testSPS = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}

func (r *rig) publish(stream string) *encoder {
	r.t.Helper()
	s, err := r.reg.Publish(context.Background(), ingest.Announce{
		App: "live", Stream: stream, Protocol: "test", Remote: "192.0.2.1:5000", Identity: "me", Cancel: func(error) {},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return &encoder{r: r, s: s, size: 2000, track: &ingest.Track{
		Codec: ingest.H264, SPS: [][]byte{testSPS}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}},
		Width: 1280, Height: 720, FrameRate: 25, Alone: true,
	}}
}

// run sends d of media and advances the clock by the same time.
func (e *encoder) run(d time.Duration) {
	e.r.t.Helper()
	for end := e.n + int64(d/(40*time.Millisecond)); e.n < end; e.n++ {
		unit := append([]byte{0x41}, bytes.Repeat([]byte{byte(e.n) | 1}, e.size)...)
		if e.n%50 == 0 {
			unit[0] = 0x65
		}
		f := ingest.Frame{
			Track: e.track, PTS: e.n * 3600, DTS: e.n * 3600, Key: e.n%50 == 0, Units: [][]byte{unit}, Arrival: e.r.clock(),
		}
		if err := e.s.WriteFrame(&f); err != nil {
			e.r.t.Fatal(err)
		}
		e.r.advance(40 * time.Millisecond)
	}
}

// leave ends the publishing properly; end also lets the grace pass.
func (e *encoder) leave() { e.s.Close(ingest.ErrUnpublished) }

func (e *encoder) end() {
	e.leave()
	e.r.advance(time.Minute)
}

func (r *rig) snapshot(stream string) *segmenter.Snapshot {
	r.t.Helper()
	line := r.reg.Timeline("live", stream)
	if line == nil {
		r.t.Fatalf("no timeline of %s", stream)
	}
	return line.Snapshot()
}

// live returns the paths of a stream's current recording.
func (r *rig) live(stream string) string {
	s := r.snapshot(stream)
	return "/" + segmenter.Name{Kind: segmenter.KindLive, App: "live", Stream: stream, Recording: s.Recording}.String()
}

func (r *rig) timestamped(stream string) string {
	s := r.snapshot(stream)
	return "/" + segmenter.Name{Kind: segmenter.KindArchive, App: "live", Stream: stream, Recording: s.Recording}.String()
}

func (r *rig) segment(stream string, sequence uint64) string {
	s := r.snapshot(stream)
	return "/" + segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: stream, Recording: s.Recording, Sequence: sequence}.String()
}

// reply is an answer with its complete body.
type reply struct {
	*http.Response
	body []byte
}

// do sends one request; fields are name, value pairs.
func (r *rig) do(method, path string, fields ...string) reply {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	res, err := r.client().Do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatalf("%s %s: body: %v", method, path, err)
	}
	return reply{res, body}
}

func (r *rig) get(path string, fields ...string) reply {
	r.t.Helper()
	return r.do("GET", path, fields...)
}

// raw sends bytes and reads as many answers as there are methods.
func (r *rig) raw(text string, methods ...string) []reply {
	r.t.Helper()
	c := r.dial(r.t)
	defer c.Close()
	go io.WriteString(c, text)
	var replies []reply
	b := bufio.NewReader(c)
	for _, m := range methods {
		res, err := http.ReadResponse(b, &http.Request{Method: m})
		if err != nil {
			r.t.Fatalf("answer %d to %.60q: %v", len(replies), text, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			r.t.Fatalf("answer %d to %.60q: %v", len(replies), text, err)
		}
		replies = append(replies, reply{res, body})
	}
	return replies
}

// want checks the status and header fields given as name, value pairs; the value "-" means that the field must be absent.
func (a reply) want(t testing.TB, status int, fields ...string) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d; body %.100q", a.StatusCode, status, a.body)
	}
	for i := 0; i < len(fields); i += 2 {
		name, want := fields[i], fields[i+1]
		got := strings.Join(a.Header.Values(name), " | ")
		if want == "-" && len(a.Header.Values(name)) > 0 || want != "-" && got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a.Header.Get("Cache-Control") == "" {
		t.Error("no Cache-Control")
	}
	if _, err := http.ParseTime(a.Header.Get("Date")); err != nil {
		t.Errorf("Date: %v", err)
	}
	if len(a.Header.Values("Set-Cookie")) > 0 {
		t.Error("a cookie was set")
	}
	if a.StatusCode != 304 && a.StatusCode != 204 && (a.ContentLength < 0 || len(a.TransferEncoding) > 0) {
		t.Errorf("length %d, transfer encoding %v", a.ContentLength, a.TransferEncoding)
	}
}

// dirArchive keeps objects in a directory, and can be told to fail.
type dirArchive struct {
	dir   string
	fail  atomic.Pointer[error]
	block atomic.Pointer[chan struct{}] // Open waits for it
	gzip  bool
	age   string // Cache-Control of all
	gap   bool   // what is here stands in for lost segments
	open  atomic.Int64
}

func (d *dirArchive) Open(ctx context.Context, key string) (Object, error) {
	if err := d.fail.Load(); err != nil {
		return Object{}, *err
	}
	if b := d.block.Load(); b != nil {
		<-*b
	}
	f, err := os.Open(filepath.Join(d.dir, filepath.FromSlash(key)))
	if err != nil {
		return Object{}, err
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		f.Close()
		return Object{}, fs.ErrNotExist
	}
	o := Object{Size: info.Size(), Modified: info.ModTime(), Gap: d.gap, Age: d.age, Body: f}
	if d.gzip {
		o.Encoding = "gzip"
	}
	return o, nil
}

func (d *dirArchive) put(t testing.TB, path string, body []byte) {
	t.Helper()
	name := filepath.Join(d.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, body, 0o644); err != nil {
		t.Fatal(err)
	}
}
