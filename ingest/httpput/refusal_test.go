package httpput

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/auth"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// TestBadInput: whatever comes is answered with a status and words that say what to do, and the show beside it, of the same stream and from the
// same address, goes on as if nothing had happened.
func TestBadInput(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true}, func(o *Options) { o.MaxSegment = 1 << 20; o.MaxPlaylist = 1 << 16 })
	st := film(t, 40, 1)
	list := func(lines ...string) string {
		return "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n" + strings.Join(lines, "\n") + "\n"
	}
	two := bytes.Clone(st.segments[0]) // its table gets a second program
	p := two[4:]
	binary.BigEndian.PutUint16(p[2:], binary.BigEndian.Uint16(p[2:])+4)
	copy(p[17:], p[13:17])
	p[14]++
	scrambled := bytes.Clone(st.segments[0])
	scrambled[188*9+3] |= 0x80
	headless := st.segments[0][188*2:]
	for i, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"PUT", "/live/show/a.ts", "", 415, "empty"},
		{"PUT", "/live/show/a.ts", "hello", 415, "neither"},
		{"PUT", "/live/show/a.ts", string(st.segments[0][:188*10+7]), 415, "middle of a packet"},
		{"PUT", "/live/show/a.ts", string(bytes.Repeat([]byte{0x47}, 188*3)), 415, "cannot be"},
		{"PUT", "/live/show/a.ts", string(two), 415, "2 programs"},
		{"PUT", "/live/show/a.ts", string(scrambled), 415, "scrambled"},
		{"PUT", "/live/show/a.ts", string(headless), 415, "without tables"},
		{"PUT", "/live/show/a.ts", strings.Repeat("\x47", 2<<20), 413, "limit"},
		{"PUT", "/live/show/a.m4s", "\x00\x00\x00\x18stypmsdh....", 415, "mpegts"},
		{"PUT", "/live/show/init.mp4", "\x00\x00\x00\x18ftypiso6....", 415, "mpegts"},
		{"PUT", "/live/show/subs.vtt", "WEBVTT\n\n", 415, "captions in the video"},
		{"POST", "/live/show/subs.ts", "WEBVTT\n\n", 415, "captions in the video"},
		{"PUT", "/live/show/other.m3u8", "hello", 400, "#EXTM3U"},
		{"PUT", "/live/show/other.m3u8", strings.Repeat("#", 1<<17), 413, "limit"},
		{"PUT", "/live/show/other.m3u8", list("#EXTINF:2,", "../../etc/passwd"), 415, "not in the stream's folder"},
		{"PUT", "/live/show/other.m3u8", list("#EXTINF:2,", "%2e%2e/%2e%2e/x.ts"), 415, "not in the stream's folder"},
		{"PUT", "/live/show/other.m3u8", list("#EXTINF:2,", "http://elsewhere.test/live/show/x.ts"), 415, "not in the stream's folder"},
		{"PUT", "/live/show/other.m3u8", list("#EXTINF:2,", "/live/another/x.ts"), 415, "not in the stream's folder"},
		{"PUT", "/live/show/other.m3u8", list("#EXTINF:2,", "file:///etc/passwd"), 415, "not in the stream's folder"},
		{"PUT", "/live/show/other.m3u8", list("#EXT-X-KEY:METHOD=AES-128,URI=\"k\"", "#EXTINF:2,", "x.ts"), 415, "encrypt"},
		{"PUT", "/live/show/other.m3u8", list("#EXT-X-MAP:URI=\"init.mp4\"", "#EXTINF:2,", "x.m4s"), 415, "mpegts"},
		{"PUT", "/live/show/other.m3u8", list("#EXT-X-BYTERANGE:100@0", "#EXTINF:2,", "x.ts"), 415, "single_file"},
		{"PUT", "/live/show/other.m3u8", list("#EXTINF:nan,", "x.ts"), 400, "line 4"},
		{"PUT", "/live/show/other.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n../x.m3u8\n", 415, "not in the stream's folder"},
		{"PUT", "/live/show/", "x", 400, "address must be"},
		{"PUT", "/live", "x", 400, "address must be"},
		{"PUT", "/", "x", 400, ""},
		{"PUT", "/live/show/../../x.ts", "x", 400, "no file"},
		{"PUT", "/live/show/%2e%2e/x.ts", "x", 400, "no file"},
		{"PUT", "/live/show/a%2fb.ts", "x", 400, "no file"},
		{"PUT", "/live/show/a%00.ts", "x", 400, "no file"},
		{"PUT", "/live/show//x.ts", "x", 400, "no file"},
		{"PUT", "/live/show/" + strings.Repeat("a", 2000), "x", 400, "longer"},
		{"PUT", "/live/" + strings.Repeat("a", 200) + "/x.ts", "x", 400, "name a stream"},
		{"PUT", "/dead/show/x.ts", "x", 404, "does not exist"},
		{"GET", "/live/show/index.m3u8", "", 405, "PUT or POST"},
		{"PROPFIND", "/live/show/", "", 405, "PUT or POST"},
	} {
		h.send(st, i)
		if w := h.from("127.0.0.1:5000", c.method, c.path, c.body); w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %.60s %.60q: %d %s; want %d, %s", c.method, c.path, c.body, w.Code, w.Body, c.status, c.says)
		}
		h.pass(2 * time.Second)
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{{"MKCOL", "/live/show/", 201}, {"MKCOL", "/live/show/720p", 201}, {"DELETE", "/live/show/seg0.ts", 200}, {"OPTIONS", "/live/show/x", 204}} {
		if w := h.from("127.0.0.1:5000", c.method, c.path, ""); w.Code != c.status {
			t.Errorf("%s %s: %d", c.method, c.path, w.Code)
		}
	}
	rows, bodies := h.listed("show")
	equal(t, bodies, st.segments[:len(bodies)])
	if len(rows) < 30 {
		t.Errorf("%d rows", len(rows))
	}
	for _, e := range rows {
		if e.Discontinuity || e.Gap {
			t.Errorf("the show was harmed: %+v", e)
		}
	}
}

// TestCredentials: keys by Basic, Digest, in the query and in the path; what is wrong is refused without a hint.
func TestCredentials(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Keys: map[string]string{"show": "s3cret", "other": auth.Hash("hashed")}})
	st := film(t, 1, 1)
	srv := httptest.NewServer(h.s)
	defer srv.Close()
	do := func(path string, change func(*http.Request)) *http.Response {
		t.Helper()
		r, err := http.NewRequest(http.MethodPut, srv.URL+path, bytes.NewReader(st.segments[0]))
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(r)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = drain(res.Body)
		return res
	}
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	for _, c := range []struct {
		what, path string
		change     func(*http.Request)
		status     int
	}{
		{"none", "/live/show/a.ts", nil, 401},
		{"basic", "/live/show/a.ts", basic("show", "s3cret"), 200},
		{"basic, any user", "/live/show/a.ts", basic("studio", "s3cret"), 200},
		{"basic, wrong", "/live/show/a.ts", basic("show", "wrong"), 403},
		{"basic, of another stream", "/live/other/a.ts", basic("other", "s3cret"), 403},
		{"basic, hashed", "/live/other/a.ts", basic("x", "hashed"), 200},
		{"query", "/live/show/a.ts?key=s3cret", nil, 200},
		{"query, wrong", "/live/show/a.ts?key=nope", nil, 403},
		{"the key is the name", "/live/s3cret/a.ts", nil, 200},
		{"no header of ours", "/live/show/a.ts", func(r *http.Request) { r.Header.Set("Authorization", "Negotiate x") }, 400},
		{"half a header", "/live/show/a.ts", func(r *http.Request) { r.Header.Set("Authorization", "Basic !!") }, 400},
	} {
		if res := do(c.path, c.change); res.StatusCode != c.status {
			t.Errorf("%s: %s", c.what, res.Status)
		}
	}
	res := do("/live/show/a.ts", nil)
	var methods []string
	for _, v := range res.Header.Values("WWW-Authenticate") {
		kind, rest, _ := strings.Cut(v, " ")
		methods = append(methods, kind+" "+parameters(rest)["algorithm"])
	}
	if got := strings.Join(methods, ", "); got != "Digest SHA-256, Basic , Digest MD5" {
		t.Errorf("challenge %s", got)
	}
	nonce := parameters(strings.TrimPrefix(res.Header.Values("WWW-Authenticate")[2], "Digest "))["nonce"]
	digest := func(password, nonce string) func(*http.Request) {
		return func(r *http.Request) {
			d := map[string]string{"username": "show", "realm": realm, "nonce": nonce, "uri": r.URL.RequestURI(), "qop": "auth", "nc": "00000001", "cnonce": "abc"}
			r.Header.Set("Authorization", fmt.Sprintf(`Digest username="show", realm=%q, nonce=%q, uri=%q, qop=auth, nc=00000001, cnonce="abc", response=%q`,
				realm, nonce, d["uri"], respond(d, r.Method, password)))
		}
	}
	if res := do("/live/show/a.ts", digest("s3cret", nonce)); res.StatusCode != 200 {
		t.Errorf("digest: %s", res.Status)
	}
	if res := do("/live/show/a.ts", digest("wrong", nonce)); res.StatusCode != 403 {
		t.Errorf("digest, wrong: %s", res.Status)
	}
	for range 500 { // an encoder that comes without credentials first, with every file
		if res := do("/live/show/a.ts", nil); res.StatusCode != 401 {
			t.Fatalf("without credentials, again: %s", res.Status)
		}
		if res := do("/live/show/a.ts", digest("s3cret", nonce)); res.StatusCode != 200 {
			t.Fatalf("digest, again: %s", res.Status)
		}
		h.pass(500 * time.Millisecond)
	}
	h.pass(nonceLife + time.Minute)
	if res := do("/live/show/a.ts", digest("s3cret", nonce)); res.StatusCode != 401 || !strings.Contains(strings.Join(res.Header.Values("WWW-Authenticate"), ""), "stale=true") {
		t.Errorf("digest, old: %s", res.Status)
	}
	for range 30 {
		do("/live/show/a.ts", basic("show", "guess"))
	}
	if res := do("/live/show/a.ts", basic("show", "another")); res.StatusCode != 429 {
		t.Errorf("after many guesses: %s", res.Status)
	}
	if strings.Contains(h.logged(), "s3cret") {
		t.Error("the log has a key in it")
	}
}

// respond makes the response of a Digest with MD5 (RFC 7616 3.4.1).
func respond(d map[string]string, method, password string) string {
	ha1 := sumOf(d["username"] + ":" + realm + ":" + password)
	ha2 := sumOf(method + ":" + d["uri"])
	return sumOf(strings.Join([]string{ha1, d["nonce"], d["nc"], d["cnonce"], d["qop"], ha2}, ":"))
}

func sumOf(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }

// TestBodies: lengths, chunks, gzip, Expect, HTTP/2 with and without TLS; bodies that stop, crawl or end too early cost nobody anything.
func TestBodies(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true}, func(o *Options) {
		o.Now = time.Now
		o.StallLimit = 300 * time.Millisecond
		o.BodyTimeout = 2 * time.Second
	})
	st := film(t, 8, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.s.Serve(t.Context(), l) }()
	at := "http://" + l.Addr().String()
	secure := httptest.NewUnstartedServer(h.s)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()

	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(st.segments[2])
	_ = z.Close()
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	plain2 := &http.Client{Transport: &http.Transport{Protocols: &h2c}}
	defer plain2.CloseIdleConnections()
	secure2 := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer secure2.CloseIdleConnections()
	for i, c := range []struct {
		what   string
		client *http.Client
		at     string
		body   io.Reader
		header string
		major  int
	}{
		{"length", http.DefaultClient, at, bytes.NewReader(st.segments[0]), "", 1},
		{"chunks", http.DefaultClient, at, struct{ io.Reader }{bytes.NewReader(st.segments[1])}, "", 1},
		{"gzip", http.DefaultClient, at, &zipped, "Content-Encoding: gzip", 1},
		{"expect", http.DefaultClient, at, bytes.NewReader(st.segments[3]), "Expect: 100-continue", 1},
		{"HTTP/2 in the clear", plain2, at, bytes.NewReader(st.segments[4]), "", 2},
		{"HTTP/2 over TLS", secure2, secure.URL, bytes.NewReader(st.segments[5]), "", 2},
	} {
		for _, f := range []struct {
			name string
			body io.Reader
		}{{numbered(i), c.body}, {"index.m3u8", strings.NewReader(st.page(0, i, 6, numbered))}} {
			r, err := http.NewRequest(http.MethodPut, c.at+"/live/show/"+f.name, f.body)
			if err != nil {
				t.Fatal(err)
			}
			if name, value, ok := strings.Cut(c.header, ": "); ok && f.name != "index.m3u8" {
				r.Header.Set(name, value)
			}
			res, err := c.client.Do(r)
			if err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			if said := drain(res.Body); res.StatusCode != 200 || res.ProtoMajor != c.major {
				t.Errorf("%s: %s over %s: %s", c.what, res.Status, res.Proto, said)
			}
		}
	}
	raw := func(text string, then func(net.Conn)) string {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, text)
		if then != nil {
			then(c)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		b, _ := io.ReadAll(c)
		return string(b)
	}
	half := string(st.segments[6][:1880])
	if got := raw("PUT /live/show/seg6.ts HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"+half, nil); !strings.HasPrefix(got, "HTTP/1.1 408") {
		t.Errorf("a body that stops: %.80q", got)
	}
	if got := raw("PUT /live/show/seg6.ts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n758\r\n"+half+"\r\n", func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }); strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("chunks that are cut short: %.80q", got)
	}
	crawl := func(c net.Conn) {
		for range 200 {
			if _, err := c.Write([]byte("G")); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	if got := raw("PUT /live/show/seg6.ts HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", crawl); strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("a body that crawls: %.80q", got)
	}
	if got := raw("PUT /live/show/seg6.ts HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Encoding: br\r\n\r\nabc", func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }); !strings.HasPrefix(got, "HTTP/1.1 415") {
		t.Errorf("another coding: %.80q", got)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, bodies := h.listed("show"); len(bodies) == 6 {
			equal(t, bodies, st.segments[:6])
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d segments are listed", len(bodies))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestFloods: who sends segments that nothing names, fills no memory but his own share, and is told so.
func TestFloods(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true}, func(o *Options) { o.MaxHeld = 8 })
	st := film(t, 30, 1)
	for i := range st.segments {
		h.put("/live/show/"+numbered(i), string(st.segments[i]))
	}
	if n := h.s.Stats.Held.Load(); n != 8 || h.s.Stats.Unnamed.Load() != 22 {
		t.Errorf("%d are held, %d went", n, h.s.Stats.Unnamed.Load())
	}
	full := newHouse(t, simple(), auth.App{Open: true}, func(o *Options) { o.Memory = ingest.NewMemory(1 << 20) })
	refused := 0
	for i := range st.segments {
		for _, f := range [][2]string{{numbered(i), string(st.segments[i])}, {"index.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nnever.ts\n#EXTINF:2,\n" + numbered(i) + "\n"}} {
			w := full.from("127.0.0.1:1", http.MethodPut, "/live/show/"+f[0], f[1])
			if w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") != "" {
				refused++
			} else if w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
	}
	if used := full.s.o.Memory.Used(); used > 1<<20 {
		t.Errorf("%d bytes are used", used)
	}
}

// TestSenderWithoutCounters: segments whose counters begin anew are not passed on as they are, which is said; what comes out of them plays.
func TestSenderWithoutCounters(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 8, 1)
	for i := range st.segments {
		next := map[uint16]byte{}
		for at := 0; at < len(st.segments[i]); at += 188 {
			p := st.segments[i][at:]
			pid := binary.BigEndian.Uint16(p[1:]) & 0x1FFF
			if p[3]&0x10 != 0 {
				p[3] = p[3]&0xF0 | next[pid]&15
				next[pid]++
			}
		}
		h.send(st, i)
		h.pass(2 * time.Second)
	}
	rows, bodies := h.listed("show")
	if len(rows) < 5 || !strings.Contains(h.logged(), "continuity counters") || h.s.Stats.Remuxed.Load() == 0 {
		t.Errorf("%d rows; log: %s", len(rows), h.logged())
	}
	for i, e := range rows {
		if e.Gap || !e.Independent || i > 1 && e.Discontinuity || len(bodies[i]) == 0 {
			t.Errorf("row %d: %+v", i, e)
		}
	}
}

// TestLadder: a multivariant playlist makes a ladder, whose rungs have the same numbers and cuts.
func TestLadder(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Keys: map[string]string{"show": "key"}})
	st := film(t, 12, 1)
	put := func(path, body string) {
		t.Helper()
		if w := h.from("127.0.0.1:1", http.MethodPut, "/live/show/"+path+"?key=key", body); w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for i := range st.segments {
		for _, dir := range []string{"1080p/", "720p/"} {
			put(dir+numbered(i), string(st.segments[i]))
			put(dir+"index.m3u8", st.page(0, i, 5, numbered))
		}
		if i == 0 {
			put("index.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000000\n720p/index.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=3000000\n1080p/index.m3u8\n")
		}
		h.pass(2 * time.Second)
	}
	var ladder *segmenter.Timeline
	for _, l := range h.reg.Ladders() {
		ladder = l
	}
	if ladder == nil || ladder.Key().Stream != "show" {
		t.Fatalf("no ladder: %s", h.logged())
	}
	entry := string(ladder.Snapshot().Entry.Body)
	if a, b := strings.Index(entry, "show_1080p/"), strings.Index(entry, "show_720p/"); a < 0 || b < a {
		t.Errorf("entry:\n%s", entry)
	}
	a, _ := h.listed("show_1080p")
	b, _ := h.listed("show_720p")
	if len(a) < 4 || len(a) != len(b) {
		t.Errorf("%d and %d rows", len(a), len(b))
	}
	for i := range min(len(a), len(b)) {
		if a[i].Duration != b[i].Duration || !a[i].Start.Equal(b[i].Start) || a[i].Sequence != b[i].Sequence {
			t.Errorf("row %d: %+v and %+v", i, a[i], b[i])
		}
	}
	for _, rung := range []string{"show_1080p", "show_720p"} {
		_, bodies := h.listed(rung)
		equal(t, bodies, st.segments)
	}
	// Its encoder begins anew: a discontinuity at one number, in both.
	again := film(t, 5, 3)
	for i := range again.segments {
		for _, dir := range []string{"720p/", "1080p/"} {
			put(dir+numbered(i), string(again.segments[i]))
			put(dir+"index.m3u8", again.page(0, i, 5, numbered))
		}
		h.pass(2 * time.Second)
	}
	for _, rung := range []string{"show_1080p", "show_720p"} {
		rows, bodies := h.listed(rung)
		equal(t, bodies, append(append([][]byte{}, st.segments...), again.segments...))
		for i, e := range rows {
			if e.Discontinuity != (i == 12) || e.Gap {
				t.Errorf("%s, row %d: %+v", rung, i, e)
			}
		}
	}
	// A segment of one rung that never comes is a gap there, and nothing in the other.
	more := film(t, 12, 3)
	for i := 5; i < 12; i++ {
		for _, dir := range []string{"720p/", "1080p/"} {
			if dir != "720p/" || i != 7 {
				put(dir+numbered(i), string(more.segments[i]))
			}
			put(dir+"index.m3u8", more.page(0, i, 5, numbered))
		}
		h.pass(2 * time.Second)
	}
	h.pass(6 * time.Second)
	for _, rung := range []string{"show_1080p", "show_720p"} {
		rows, _ := h.listed(rung)
		if len(rows) != 24 {
			t.Errorf("%s: %d rows", rung, len(rows))
		}
		for i, e := range rows {
			if e.Gap != (rung == "show_720p" && i == 12+7) || e.Discontinuity != (i == 12) {
				t.Errorf("%s, row %d: %+v", rung, i, e)
			}
		}
	}
	put("720p/index.m3u8", st.page(0, 11, 5, numbered))
	if w := h.from("127.0.0.1:1", http.MethodPut, "/live/show/sound/index.m3u8?key=key", st.page(0, 1, 2, numbered)); w.Code != 415 {
		t.Errorf("a playlist that is no variant: %d %s", w.Code, w.Body)
	}
}

// TestSlowLadder: on a slow line the second rendition comes long after the first. The stream does not begin alone meanwhile.
func TestSlowLadder(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 1, 1)
	h.put("/live/show/a/seg0.ts", string(st.segments[0]))
	h.put("/live/show/a/index.m3u8", st.page(0, 0, 5, numbered))
	h.put("/live/show/b/seg0.ts", string(st.segments[0]))
	h.pass(5 * time.Second)
	h.put("/live/show/b/index.m3u8", st.page(0, 0, 5, numbered))
	h.put("/live/show/index.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=2\na/index.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb/index.m3u8\n")
	h.pass(3 * time.Second)
	for _, rung := range []string{"show_a", "show_b"} {
		if rows, _ := h.listed(rung); len(rows) != 1 {
			t.Errorf("%s: %d rows; log: %s", rung, len(rows), h.logged())
		}
	}
}

// TestRungsOfOthers: the key of a stream is none for another stream that has its own, which a playlist would make a rung by its name.
func TestRungsOfOthers(t *testing.T) {
	keys := auth.App{Keys: map[string]string{"show": "one-key", "show_studio": "another-key"}}
	for name, grouped := range map[string]bool{"formed by the playlist": false, "a group of the configuration": true} {
		t.Run(name, func(t *testing.T) {
			app := simple()
			if grouped {
				app.Groups = map[string][]string{"show": {"show_studio", "show_low"}}
			}
			h := newHouse(t, app, keys)
			st := film(t, 3, 1)
			put := func(file, body string) *httptest.ResponseRecorder {
				return h.from("10.0.0.1:1", http.MethodPut, "/live/show/"+file+"?key=one-key", body)
			}
			if !grouped {
				if w := put("index.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=2\nstudio/index.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/index.m3u8\n"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "show_studio has a key of its own") {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
			refused := false
			for i := range st.segments {
				put("studio/"+numbered(i), string(st.segments[i]))
				w := put("studio/index.m3u8", st.page(0, i, 5, numbered))
				refused = refused || w.Code == http.StatusForbidden
				h.pass(2 * time.Second)
			}
			if rows, _ := h.listed("show_studio"); len(rows) > 0 || grouped && !refused {
				t.Errorf("%d segments are listed under a name that another has the key of; refused: %v", len(rows), refused)
			}
		})
	}
}

// TestFileWithoutCredentials: a file that comes without what the others come with, as FFmpeg's multivariant playlist does where the key stands
// in the query of the others' addresses, is said in the log, where every file that is asked for them and comes again is not.
func TestFileWithoutCredentials(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Keys: map[string]string{"show": "one-key"}})
	st := film(t, 6, 1)
	for i := range st.segments {
		if w := h.from("10.0.0.1:1", http.MethodPut, "/live/show/index.m3u8", "#EXTM3U\n"); w.Code != http.StatusUnauthorized {
			t.Errorf("%d", w.Code)
		}
		for file, body := range map[string]string{numbered(i): string(st.segments[i]), "a/index.m3u8": strings.ReplaceAll(st.page(0, i, 5, numbered), "seg", "../seg")} {
			if w := h.from("10.0.0.1:2", http.MethodPut, "/live/show/"+file, body); w.Code != http.StatusUnauthorized {
				t.Errorf("%d", w.Code)
			}
			if w := h.from("10.0.0.1:2", http.MethodPut, "/live/show/"+file+"?key=one-key", body); w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
		h.pass(2 * time.Second)
	}
	h.pass(15 * time.Second)
	if said := h.logged(); strings.Count(said, "without the credentials") != 1 || !strings.Contains(said, "file=index.m3u8") {
		t.Errorf("the log: %s", said)
	}
	if rows, _ := h.listed("show"); len(rows) != len(st.segments) {
		t.Errorf("%d segments", len(rows))
	}
}

// TestLadderOfAntMedia: its files have no folder, and its rungs are streams of their own, which are named by their ladder.
func TestLadderOfAntMedia(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true})
	st := film(t, 6, 1)
	h.put("/live/show_adaptive.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=2\nshow_720p.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=1\nshow_360p.m3u8\n")
	for i := range st.segments {
		for _, rung := range []string{"show_720p", "show_360p"} {
			named := func(i int) string { return fmt.Sprintf("%s%09d.ts", rung, i) }
			h.put("/live/"+named(i), string(st.segments[i]))
			h.put("/live/"+rung+".m3u8", st.page(0, i, 5, named))
		}
		h.pass(2 * time.Second)
	}
	ladders := h.reg.Ladders()
	if len(ladders) != 1 {
		t.Fatalf("%d ladders; the log: %s", len(ladders), h.logged())
	}
	for _, rung := range []string{"show_720p", "show_360p"} {
		if entry := string(ladders[0].Snapshot().Entry.Body); !strings.Contains(entry, rung+"/") {
			t.Errorf("entry:\n%s", entry)
		}
		_, bodies := h.listed(rung)
		equal(t, bodies, st.segments)
	}
}

// TestStreamIsAnothers: a sender whose stream somebody else feeds is told so at each request, and not only when its playlist would begin the
// stream; when the other has left, it is taken.
func TestStreamIsAnothers(t *testing.T) {
	st := film(t, 14, 1)
	h := newHouse(t, simple(), auth.App{Open: true})
	other, err := h.reg.Publish(t.Context(), ingest.Announce{App: "live", Stream: "show", Protocol: "rtmp", Remote: "192.0.2.9:1"})
	if err != nil {
		t.Fatal(err)
	}
	statuses := map[int]int{}
	send := func(i int) {
		for path, body := range map[string]string{"/live/show/" + numbered(i): string(st.segments[i]), "/live/show/index.m3u8": st.page(0, i, 5, numbered)} {
			statuses[h.from("192.0.2.7:5000", http.MethodPut, path, body).Code]++
		}
		h.pass(2 * time.Second)
	}
	for i := range 8 {
		send(i)
	}
	if taken := statuses[http.StatusOK]; statuses[http.StatusConflict] < 3*taken/2 {
		t.Errorf("of a stream that somebody else has %v", statuses)
	}
	other.Close(errors.New("gone"))
	h.pass(awayFor)
	clear(statuses)
	for i := 8; i < 12; i++ {
		send(i)
	}
	if len(statuses) != 1 || statuses[http.StatusOK] == 0 {
		t.Errorf("when the other has left: %v", statuses)
	}
}
