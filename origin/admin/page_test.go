package admin

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestPageFiles(t *testing.T) {
	s := New(Options{HLSJS: "https://cdn.example/hls.js"})
	types := map[string]string{".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
	paths := map[string]string{"/": "text/html"}
	files, err := pages.ReadDir("page")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, f := range files {
		paths["/page/"+f.Name()] = types[path.Ext(f.Name())]
	}
	for at, typ := range paths {
		res, body := get(t, s, "localhost", at)
		if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), typ) || len(body) < 200 {
			t.Errorf("%s: %d %v, %d bytes", at, res.StatusCode, res.Header, len(body))
		}
		policy := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "script-src 'self' https://cdn.example;") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", at, policy)
		}
	}
	if res, _ := get(t, s, "localhost", "/page/nothing.js"); res.StatusCode != 404 {
		t.Errorf("a file that there is not is %d", res.StatusCode)
	}
	_, html := get(t, s, "localhost", "/")
	if strings.Contains(html, "style=") || strings.Contains(html, "onclick=") {
		t.Error("the page has inline code, which its own policy forbids")
	}
	for _, name := range regexp.MustCompile(`(?:src|href)="(/page/[^"]+)"`).FindAllStringSubmatch(html, -1) {
		if paths[name[1]] == "" {
			t.Errorf("the page asks for %s, which there is not", name[1])
		}
	}
	for _, f := range files { // text from others is never markup
		body, err := pages.ReadFile("page/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if path.Ext(f.Name()) == ".js" && regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`).Match(body) {
			t.Errorf("%s makes markup of text", f.Name())
		}
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
