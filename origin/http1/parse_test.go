package http1

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestParseHead(t *testing.T) {
	const host = "Host: a\r\n"
	for _, c := range []struct {
		text string
		want string // method path?query closes bad, and the fields that were read
	}{
		{"GET /a HTTP/1.1\r\n" + host, "1 /a  false 0 {}"},
		{"HEAD /a?b?c=%20 HTTP/1.1\r\n" + host, "2 /a b?c=%20 false 0 {}"},
		{"OPTIONS * HTTP/1.1\r\n" + host, "3 *  false 0 {}"},
		{"GET http://a/b/c?d HTTP/1.1\r\n" + host, "1 /b/c d false 0 {}"},
		{"GET HTTP://a HTTP/1.1\r\n" + host, "1 /  false 0 {}"},
		{"GET /%61%2fb HTTP/1.1\r\n" + host, "1 /%61%2fb  false 0 {}"},
		{"GET /%6 HTTP/1.1\r\n" + host, "400"},
		{"GET a HTTP/1.1\r\n" + host, "400"},
		{"GET * HTTP/1.1\r\n" + host, "400"},
		{"GET  HTTP/1.1\r\n" + host, "400"},
		{"GET /a b HTTP/1.1\r\n" + host, "400"},
		{"GET /a\tb HTTP/1.1\r\n" + host, "400"},
		{"GET /a\r HTTP/1.1\r\n" + host, "400"},
		{"GET /a HTTP/1.1 \r\n" + host, "400"},
		{" GET /a HTTP/1.1\r\n" + host, "400"},
		{"G(T /a HTTP/1.1\r\n" + host, "400"},
		{"GET /a\r\n" + host, "400"},
		{"GET\r\n" + host, "400"},
		{"GET ?a HTTP/1.1\r\n" + host, "400"},
		{"GET /a http/1.1\r\n" + host, "400"},
		{"GET /a HTTP/11\r\n" + host, "400"},
		{"GET /a HTTP/2.0\r\n" + host, "505"},
		{"PRI * HTTP/2.0\r\n", "505"},
		{"GET /a HTTP/1.0\r\n", "1 /a  true 0 {}"},
		{"POST /a HTTP/1.1\r\nContent-Length: 3\r\n" + host, "0 /a  true 0 {}"},
		{"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + host, "0 /a  true 0 {}"},
		{"CONNECT a:80 HTTP/1.1\r\n" + host, "0 a:80  false 0 {}"},
		{"GET /a HTTP/1.1\r\n", "400"}, // no host
		{"GET /a HTTP/1.1\r\n" + host + host, "400"},
		{"GET /a HTTP/1.1\r\nContent-Length: 0\r\n" + host, "1 /a  false 0 {}"},
		{"GET /a HTTP/1.1\r\nContent-Length: 5\r\n" + host, "400"},
		{"GET /a HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n" + host, "400"},
		{"GET /a HTTP/1.1\r\nContent-Length: +0\r\n" + host, "400"},
		{"GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + host, "400"},
		{"GET /a HTTP/1.1\r\nTRANSFER-ENCODING: identity\r\n" + host, "400"},
		{"GET /a HTTP/1.1\r\nTransfer-Encoding : chunked\r\n" + host, "400"},
		{"GET /a HTTP/1.1\r\nTransfer-Encoding\r\n" + host, "400"},
		{"GET /a HTTP/1.1\r\n" + host + " folded\r\n", "400"},
		{"GET /a HTTP/1.1\r\n folded: x\r\n" + host, "400"},
		{"GET /a HTTP/1.1\r\n: x\r\n" + host, "400"},
		{"GET /a HTTP/1.1\r\nX: a\x00b\r\n" + host, "400"},
		{"GET /a HTTP/1.1\r\nX: a\rY: b\r\n" + host, "400"},
		{"GET /a HTTP/1.1\r\nConnection: keep-alive, Close\r\n" + host, "1 /a  true 0 {}"},
		{"GET /a HTTP/1.1\r\nConnection: keep-alive\r\n" + host, "1 /a  false 0 {}"},
		{"GET /a HTTP/1.1\r\nhost: a\r\nACCEPT-ENCODING:gzip\r\nif-none-match: \t \"x\" \t\r\nIf-None-Match: \"y\"\r\n", `1 /a  false 0 {gzip;"x", "y"}`},
		{"GET /a HTTP/1.1\r\nRange: bytes=0-\r\nIf-Range: \"r\"\r\nIf-Match: *\r\nOrigin: o\r\n" + host, `1 /a  false 0 {bytes=0-;"r";*;o}`},
		{"GET /a HTTP/1.1\r\nIf-Modified-Since: m\r\nIf-Unmodified-Since: u\r\nX-CDN: s\r\n" + host, `1 /a  false 0 {m;u;s}`},
	} {
		text := c.text + "\r\n"
		if n, _, bad := headEnd([]byte(text), 0); n != len(text) || bad {
			t.Errorf("%q ends at %d of %d, %v", c.text, n, len(text), bad)
			continue
		}
		var h head
		parseHead([]byte(text), "x-cdn", &h)
		got := fmt.Sprint(h.bad)
		if h.bad == 0 {
			var fields []string
			for _, f := range []string{h.AcceptEncoding, h.IfNoneMatch, h.Range, h.IfRange, h.IfMatch, h.Origin, h.IfModifiedSince, h.IfUnmodifiedSince, h.Extra} {
				if f != "" {
					fields = append(fields, f)
				}
			}
			got = fmt.Sprintf("%d %s %s %v %d {%s}", h.Method, h.Path, h.Query, h.close, h.bad, strings.Join(fields, ";"))
		} else if !h.close {
			t.Errorf("%q: refused, and the connection goes on", c.text)
		}
		if got != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestHeadEnd(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		bad  bool
	}{
		{"", 0, false}, {"GET", 0, false}, {"a\r\nb\r\n", 0, false}, {"a\r\nb\r\n\r", 0, false},
		{"a\r\nb\r\n\r\nrest", 8, false}, {"a\nb\r\n\r\n", 0, true}, {"a\r\n\n", 0, true}, {"\n", 0, true}, {"\r\n", 2, false},
	} {
		if n, _, bad := headEnd([]byte(c.text), 0); n != c.n || bad != c.bad {
			t.Errorf("%q: %d %v", c.text, n, bad)
		}
		from, n, bad := 0, 0, false // byte by byte, continuing where it stopped
		for i := 1; i <= len(c.text) && n == 0 && !bad; i++ {
			n, from, bad = headEnd([]byte(c.text[:i]), from)
		}
		if n != c.n || bad != c.bad {
			t.Errorf("%q in pieces: %d %v", c.text, n, bad)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add("GET /live/streams/cam.m3u8?start=1 HTTP/1.1\r\nHost: x\r\nRange: bytes=0-\r\nX-CDN: a\r\n\r\n")
	f.Add("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n")
	f.Add("GET http://h/%41 HTTP/1.0\r\nConnection: a, close\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		b := []byte(text)
		n, _, bad := headEnd(b, 0)
		if n == 0 || bad {
			return
		}
		var h head
		parseHead(b[:n], "x-cdn", &h)
		switch {
		case string(b) != text:
			t.Fatal("the head was changed")
		case h.bad != 0 && !h.close:
			t.Fatal("refused, and the connection goes on")
		case h.bad != 0:
			return
		case h.Method != MethodOther && h.Path != "*" && (h.Path == "" || h.Path[0] != '/'):
			t.Fatalf("path %q", h.Path)
		}
		lower := strings.ToLower(text[:n])
		if strings.Contains(lower, "\r\ntransfer-encoding:") && !h.close {
			t.Fatal("a body may follow, and the connection goes on")
		}
	})
}

// FuzzParseHeadAgrees checks that net/http, as a stand-in for all other servers, reads accepted heads in the same way, and finds their end
// at the same place.
func FuzzParseHeadAgrees(f *testing.F) {
	for _, a := range attempts() {
		f.Add(a.text())
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, _, bad := headEnd([]byte(text), 0)
		if n == 0 || bad {
			return
		}
		var h head
		parseHead([]byte(text[:n]), "", &h)
		if h.bad != 0 || h.close || strings.HasPrefix(h.Path, "*") || h.Method == MethodOther {
			return
		}
		b := bufio.NewReader(strings.NewReader(text))
		r, err := http.ReadRequest(b)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", text[:n], err)
		}
		if methodOf(r.Method) != h.Method || r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
			t.Errorf("%q: %s, %d bytes, %v", text[:n], r.Method, r.ContentLength, r.TransferEncoding)
		}
		if path := r.URL.EscapedPath(); path != h.Path && r.URL.Path != h.Path && path != "" || r.URL.RawQuery != h.Query {
			t.Errorf("%q: %q ? %q, not %q ? %q", text[:n], path, r.URL.RawQuery, h.Path, h.Query)
		}
		if rest := b.Buffered(); len(text) < 4096 && rest != len(text)-n {
			t.Errorf("%q: %d bytes are left, not %d", text[:n], rest, len(text)-n)
		}
	})
}
