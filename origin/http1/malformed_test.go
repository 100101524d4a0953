package http1

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// attempt is a request from somebody who is hostile, or only seems to be.
type attempt struct {
	name string
	// An HTTP/1.1 head without its empty line and what comes after it; or the parts, from which both versions can be made.
	raw            string
	method, target string
	host           string // "-": none
	fields         []string
	body           string
	status         int
	http2          int // the status if it differs; 0: the same
}

// open reports whether the connection stays open after it.
func (a *attempt) open() bool { return a.status == 200 || a.status == 405 && a.body == "" }

func (a *attempt) text() string {
	if a.raw != "" {
		return a.raw
	}
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s %s HTTP/1.1\r\n", a.method, a.target)
	if a.host != "-" {
		fmt.Fprintf(b, "Host: %s\r\n", a.host)
	}
	for _, f := range a.fields {
		b.WriteString(f + "\r\n")
	}
	return b.String() + "\r\n" + a.body
}

const (
	line = "GET /a HTTP/1.1\r\n"
	host = "Host: x\r\n"
)

// attempts returns what both ports must agree about.
func attempts() (all []attempt) {
	raw := func(status int, name, text string) {
		all = append(all, attempt{name: name, raw: text, status: status})
	}
	add := func(status int, name, method, target, host string, fields ...string) {
		all = append(all, attempt{name: name, method: method, target: target, host: host, fields: fields, status: status})
	}
	withBody := func(status int, name, method, body string, fields ...string) {
		all = append(all, attempt{name: name, method: method, target: "/a", host: "x", fields: fields, body: body, status: status})
	}

	// Valid requests, so that a server that refuses everything fails.
	add(200, "plain", "GET", "/a", "x")
	add(200, "head", "HEAD", "/a", "x")
	add(200, "query", "GET", "/a?b=c&d=%20", "example.com:5080")
	add(200, "query with all that players send", "GET", "/a?x={y}|z^`\"<>\\", "x")
	add(200, "options *", "OPTIONS", "*", "x")
	add(200, "escapes stay as they are", "GET", "/%61", "x")
	add(200, "IPv6 host", "GET", "/a", "[::1]:5080")
	add(200, "underscore in host", "GET", "/a", "my_host")
	add(200, "tab in a value", "GET", "/a", "x", "X-A: a\tb")
	add(200, "obs-text in a value", "GET", "/a", "x", "X-A: caf\xc3\xa9")
	add(200, "empty value", "GET", "/a", "x", "X-A:")
	add(200, "length 0", "GET", "/a", "x", "Content-Length: 0")
	add(200, "expect", "GET", "/a", "x", "Expect: 100-continue")
	add(405, "other method", "DELETE", "/a", "x")
	add(405, "lower case method", "get", "/a", "x")
	add(405, "method of tokens", "G!$'*+E", "/a", "x")
	raw(200, "absolute form", "GET http://x/a HTTP/1.1\r\n"+host+"\r\n")
	raw(200, "absolute form over TLS", "GET https://x:1/a?b HTTP/1.1\r\n"+host+"\r\n")
	raw(200, "absolute form, another host", "GET http://y/a HTTP/1.1\r\n"+host+"\r\n")
	raw(200, "upgrade", line+host+"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
	raw(200, "blank line before", "\r\n"+line+host+"\r\n")

	// Bodies, and their announced lengths.
	withBody(400, "body on GET", "GET", "hello", "Content-Length: 5")
	withBody(400, "body on HEAD", "HEAD", "hello", "Content-Length: 5")
	withBody(400, "body on OPTIONS", "OPTIONS", "hello", "Content-Length: 5")
	withBody(405, "body on POST", "POST", "hello", "Content-Length: 5")
	add(400, "length without a body", "GET", "/a", "x", "Content-Length: 5")
	add(400, "doubled length", "GET", "/a", "x", "Content-Length: 0", "Content-Length: 0")
	add(400, "two lengths", "GET", "/a", "x", "Content-Length: 0", "Content-Length: 5")
	add(400, "list of lengths", "GET", "/a", "x", "Content-Length: 0, 0")
	for _, l := range []string{"+0", "-0", "-1", "0x0", "0_0", "00", "", " ", "1e1", "a", "0;", "0.0", "\t5", "99999999999999999999", "18446744073709551616", "0\t0", "٠"} {
		add(400, fmt.Sprintf("length %q", l), "GET", "/a", "x", "Content-Length: "+l)
	}
	withBody(400, "POST with a broken length", "POST", "", "Content-Length: 5a")
	withBody(400, "POST with two lengths", "POST", "hello", "Content-Length: 5", "Content-Length: 6")
	add(400, "encoding on GET", "GET", "/a", "x", "Transfer-Encoding: chunked")
	withBody(400, "chunks on GET", "GET", "0\r\n\r\n", "Transfer-Encoding: chunked")
	withBody(400, "length and encoding", "POST", "0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked")
	withBody(400, "encoding and length", "POST", "0\r\n\r\n", "Transfer-Encoding: chunked", "Content-Length: 5")
	withBody(400, "two encodings", "POST", "0\r\n\r\n", "Transfer-Encoding: chunked", "Transfer-Encoding: identity")
	for _, e := range []string{"identity", "xchunked", "chunked, identity", "identity, chunked", "gzip, chunked", "\"chunked\"", "chunked;a=b", "\vchunked", "chunked\x00", "", "chunked chunked"} {
		withBody(400, fmt.Sprintf("encoding %q", e), "POST", "0\r\n\r\n", "Transfer-Encoding: "+e)
	}
	all = append(all, attempt{name: "chunked", method: "POST", target: "/a", host: "x", fields: []string{"Transfer-Encoding: chunked"}, body: "0\r\n\r\n", status: 405, http2: 400})
	raw(400, "encoding in HTTP/1.0", "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	raw(400, "blank before the colon of an encoding", "POST /a HTTP/1.1\r\n"+host+"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n")
	raw(400, "blank before the colon of a length", line+host+"Content-Length : 5\r\n\r\nhello")
	raw(400, "encoding in a folded line", line+host+"X: a\r\n Transfer-Encoding: chunked\r\n\r\n")
	raw(400, "length behind a bare CR", line+host+"X: a\rContent-Length: 5\r\n\r\n")
	raw(400, "length behind a bare LF", line+host+"X: a\nContent-Length: 5\r\n\r\n")
	raw(400, "length behind NUL", line+host+"X: a\x00Content-Length: 5\r\n\r\n")

	// Hosts.
	add(400, "no host", "GET", "/a", "-")
	raw(400, "two hosts", line+host+host+"\r\n")
	raw(400, "two different hosts", line+host+"Host: y\r\n\r\n")
	raw(400, "host, and another with a blank", line+host+"Host : y\r\n\r\n")
	for _, h := range []string{"", "a b", "a/b", "a@b", "a?b", "a#b", "a,b", "a\tb", "x:", "x:a", "x:123456", "x:-1", "x:1:2", ":80", "[::1", "::1", "[::g]", "[]", "[::1]x", "a\"b", "a<b", "a%62", "http://x", "caf\xc3\xa9", "a\\b", "a;b", strings.Repeat("a", 300)} {
		status := 400
		if h == "x:" {
			status = 200 // RFC 3986 3.2.3
		}
		add(status, fmt.Sprintf("host %.20q", h), "GET", "/a", h)
	}
	raw(400, "absolute form without a host", "GET http:///a HTTP/1.1\r\n"+host+"\r\n")
	raw(400, "absolute form with a user", "GET http://u@x/a HTTP/1.1\r\n"+host+"\r\n")
	raw(400, "absolute form of another scheme", "GET ftp://x/a HTTP/1.1\r\n"+host+"\r\n")

	// Targets and first lines.
	for _, target := range []string{"a", "*", "?a", "/a#b", "/a?b#c", "/caf\xc3\xa9", "/a\x7f", "/a\x01b", "/%", "/%6", "/%6g", "//a\tb", "http", "x:80"} {
		add(400, fmt.Sprintf("target %q", target), "GET", target, "x")
	}
	add(400, "DELETE *", "DELETE", "*", "x")
	raw(400, "no version", "GET /a\r\n"+host+"\r\n")
	raw(400, "blank in the target", "GET /a b HTTP/1.1\r\n"+host+"\r\n")
	raw(400, "two blanks", "GET  /a HTTP/1.1\r\n"+host+"\r\n")
	raw(400, "tab for a blank", "GET\t/a HTTP/1.1\r\n"+host+"\r\n")
	raw(400, "blank before", " GET /a HTTP/1.1\r\n"+host+"\r\n")
	raw(400, "blank behind", "GET /a HTTP/1.1 \r\n"+host+"\r\n")
	raw(400, "lower case version", "GET /a http/1.1\r\n"+host+"\r\n")
	raw(400, "version of letters", "GET /a HTTP/x.y\r\n"+host+"\r\n")
	raw(505, "version 2", "GET /a HTTP/2.0\r\n"+host+"\r\n")
	raw(505, "version 1.2", "GET /a HTTP/1.2\r\n"+host+"\r\n")
	raw(505, "HTTP/2 without ALPN", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	raw(400, "version 1.10", "GET /a HTTP/1.10\r\n"+host+"\r\n")
	raw(400, "method with a bracket", "G(T /a HTTP/1.1\r\n"+host+"\r\n")
	raw(400, "method with NUL", "G\x00T /a HTTP/1.1\r\n"+host+"\r\n")
	raw(400, "no method", "/a HTTP/1.1\r\n"+host+"\r\n")
	raw(400, "only a blank line, again and again", strings.Repeat("\r\n", 20)+line+host+"\r\n")

	// Lines and fields.
	raw(400, "bare LF", "GET /a HTTP/1.1\nHost: x\n\n")
	raw(400, "bare LF in the middle", line+"Host: x\n\r\n")
	raw(400, "bare LF at the end", line+host+"\n")
	raw(400, "bare CR", line+host+"X: a\rb\r\n\r\n")
	raw(400, "CR CR LF", line+host+"X: a\r\r\n\r\n")
	raw(400, "folded", line+host+"X: a\r\n b\r\n\r\n")
	raw(400, "folded by a tab", line+host+"X: a\r\n\tb\r\n\r\n")
	raw(400, "folded first line", line+" X: a\r\n"+host+"\r\n")
	raw(400, "no colon", line+host+"X\r\n\r\n")
	raw(400, "no name", line+host+": a\r\n\r\n")
	for c := range 0x80 {
		if c < ' ' && c != '\t' && c != '\n' || c == 0x7f {
			add(400, fmt.Sprintf("control %#x in a value", c), "GET", "/a", "x", "X-A: long enough "+string(rune(c))+" to be looked at by eight")
		}
	}
	for _, c := range "\"(),/;<=>?@[\\]{} \t\x00\x7fé" {
		raw(400, fmt.Sprintf("%q in a name", c), line+host+"X"+string(c)+"A: a\r\n\r\n")
	}
	raw(414, "endless target", "GET /"+strings.Repeat("a", 40<<10)+" HTTP/1.1\r\n"+host+"\r\n")
	raw(431, "endless field", line+host+"X: "+strings.Repeat("a", 40<<10)+"\r\n\r\n")
	raw(431, "endless fields", line+host+strings.Repeat("X: a\r\n", 8<<10)+"\r\n")
	return all
}

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

// TestMalformedIsAnsweredAlike sends each request to the plain port and over TLS, with another behind it, and over HTTP/2.
func TestMalformedIsAnsweredAlike(t *testing.T) {
	r := newRig(t, Options{})
	list := attempts()
	if len(list) < 150 {
		t.Errorf("only %d requests", len(list))
	}
	for i := range list {
		a := &list[i]
		for _, port := range []string{"plain", "TLS"} {
			c := r.dial(port)
			before := r.echo.times("/smuggled")
			go io.WriteString(c, a.text()+smuggled)
			first, _, _ := strings.Cut(strings.TrimLeft(a.text(), "\r\n"), " ")
			got := replies(c, first, "GET", "GET")
			c.Close()
			switch {
			case len(got) == 0:
				t.Errorf("%s, %s: no answer", port, a.name)
			case got[0].status != a.status:
				t.Errorf("%s, %s: %d, want %d", port, a.name, got[0].status, a.status)
			case a.open() && (len(got) != 2 || got[1].asked != "1 /smuggled?"):
				t.Errorf("%s, %s: the next request got %v", port, a.name, got[1:])
			case !a.open() && (len(got) != 1 || !got[0].close || r.echo.times("/smuggled") != before):
				t.Errorf("%s, %s: the connection goes on: %v", port, a.name, got)
			}
		}
	}
	await(t, "the end of the connections", func() bool { return r.s.Stats().Connections.Load() == 0 })
	c := newHTTP2Client(t, r.secure)
	for i := range list {
		a := &list[i]
		if a.raw != "" {
			continue // HTTP/2 cannot express it
		}
		want := a.status
		if a.http2 != 0 {
			want = a.http2
		}
		if got := c.ask(a); got != want && (want != 400 || got != reset) {
			t.Errorf("HTTP/2, %s: %d, want %d", a.name, got, want)
		}
	}
	if n := r.s.Bytes(); n < 0 {
		t.Errorf("%d bytes", n)
	}
}

// reset stands for a stream or connection that was reset, which is how HTTP/2 refuses (RFC 9113 8.1.1).
const reset = -1

// http2Client sends what no honest client would send.
type http2Client struct {
	t    *testing.T
	addr string
	c    net.Conn
	f    *http2.Framer
	enc  *hpack.Encoder
	buf  bytes.Buffer
	id   uint32
}

func newHTTP2Client(t *testing.T, addr string) *http2Client {
	h := &http2Client{t: t, addr: addr}
	h.connect()
	return h
}

func (h *http2Client) connect() {
	h.t.Helper()
	if h.c != nil {
		_ = h.c.Close()
	}
	h.c = dialHTTP2(h.t, h.addr)
	if _, err := io.WriteString(h.c, http2.ClientPreface); err != nil {
		h.t.Fatal(err)
	}
	h.f = http2.NewFramer(h.c, h.c)
	h.f.AllowIllegalWrites = true
	h.f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.enc, h.id = hpack.NewEncoder(&h.buf), 1
	if err := h.f.WriteSettings(); err != nil {
		h.t.Fatal(err)
	}
}

// ask sends one request, and returns the status or reset.
func (h *http2Client) ask(a *attempt) int {
	h.buf.Reset()
	field := func(name, value string) { _ = h.enc.WriteField(hpack.HeaderField{Name: name, Value: value}) }
	field(":method", a.method)
	field(":scheme", "https")
	if a.host != "-" {
		field(":authority", a.host)
	}
	field(":path", a.target)
	for _, f := range a.fields {
		name, value, _ := strings.Cut(f, ":")
		field(strings.ToLower(name), strings.TrimPrefix(value, " "))
	}
	id := h.id
	h.id += 2
	err := h.f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.buf.Bytes(), EndStream: a.body == "", EndHeaders: true})
	if err == nil && a.body != "" {
		err = h.f.WriteData(id, true, []byte(a.body))
	}
	for err == nil {
		var f http2.Frame
		if f, err = h.f.ReadFrame(); err != nil {
			break
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = h.f.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID == id {
				status := 0
				_, _ = fmt.Sscan(f.PseudoValue("status"), &status)
				return status
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return reset
			}
		case *http2.GoAwayFrame:
			h.connect()
			return reset
		}
	}
	h.connect()
	return reset
}
