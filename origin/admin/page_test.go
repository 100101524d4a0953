package admin

import (
	"strings"
	"testing"
)

func TestPageFiles(t *testing.T) {
	s := New(Options{HLSJS: "https://cdn.example/hls.js"})
	for path, typ := range map[string]string{"/": "text/html", "/page.js": "text/javascript", "/page.css": "text/css", "/icon.svg": "image/svg+xml"} {
		res, body := get(t, s, "localhost", path)
		if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), typ) || len(body) < 200 {
			t.Errorf("%s: %d %v, %d bytes", path, res.StatusCode, res.Header, len(body))
		}
		policy := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "script-src 'self' https://cdn.example;") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
	_, html := get(t, s, "localhost", "/")
	if strings.Contains(html, "style=") || strings.Contains(html, "onclick=") {
		t.Error("the page has inline code, which its own policy forbids")
	}
}

func TestPageSettings(t *testing.T) {
	o := Options{Version: "v1", HLSJS: "https://cdn.example/hls.js", Integrity: "sha384-x", RTMPPort: 1935, App: "live"}
	ask := func(o Options, host string) (got settings) {
		_, body := get(t, New(o), host, "/api/page")
		decode(t, body, &got)
		return got
	}
	want := settings{Version: "v1", Origin: "http://10.0.0.1:5080", Publish: "rtmp://10.0.0.1/live", HLSJS: o.HLSJS, Integrity: "sha384-x"}
	if got := ask(o, "10.0.0.1:5081"); got != want {
		t.Errorf("got %+v, wanted %+v", got, want)
	}
	o.PublicURL, o.PublicPort, o.RTMPPort = "https://video.example/", 80, 2935
	want = settings{Version: "v1", Origin: "https://video.example", Publish: "rtmp://[::1]:2935/live", HLSJS: "/hls.js"}
	o.HLSJS, o.Integrity = ScriptPath, ""
	if got := ask(o, "[::1]:5081"); got != want {
		t.Errorf("got %+v, wanted %+v", got, want)
	}
}
