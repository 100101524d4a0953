package admin

import (
	"embed"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
)

//go:embed page
var pages embed.FS

// pageFile serves what the page is made of, by its name.
func (s *Server) pageFile() http.HandlerFunc {
	policy := s.contentPolicy()
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("file")
		if name == "" {
			name = "index.html"
		}
		body, err := pages.ReadFile(path.Join("page", name))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Content-Type", map[string]string{
			".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
		}[path.Ext(name)])
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // it fails only when the reader is gone
	}
}

// contentPolicy lets the page run its own script and hls.js, and fetch media from anywhere: the origin has an address of
// its own, and so may a CDN in front of it.
func (s *Server) contentPolicy() string {
	script := "'self'"
	if u, err := url.Parse(s.o.HLSJS); err == nil && u.Host != "" {
		script += " " + u.Scheme + "://" + u.Host
	}
	return "default-src 'none'; style-src 'self'; img-src 'self'; connect-src *; media-src * blob:; worker-src blob:; " +
		"script-src " + script + "; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}

// settings is what the page must know and cannot know by itself.
type settings struct {
	Version   string `json:"version"`
	Origin    string `json:"origin"`  // scheme://host:port of the public origin
	Publish   string `json:"publish"` // rtmp://host:port/app; empty: none to tell
	HLSJS     string `json:"hls_js"`
	Integrity string `json:"integrity"`
	Demo      *Demo  `json:"demo,omitempty"`
}

// Demo is a stream whose picture has a clock that begins with the recording. The page shows it plain and with low latency side by
// side, and reads from the clock how old the picture is that a viewer sees.
type Demo struct {
	App    string `json:"app"`
	Stream string `json:"stream"`
	Round  int    `json:"round"` // seconds after which the clock begins again
}

func (s *Server) pageSettings(w http.ResponseWriter, r *http.Request) {
	host := hostname(r.Host)
	out := settings{Version: s.o.Version, Origin: strings.TrimSuffix(s.o.PublicURL, "/"), HLSJS: s.o.HLSJS, Integrity: s.o.Integrity}
	if s.o.Demo.Stream != "" {
		out.Demo = &s.o.Demo
	}
	if out.Origin == "" {
		out.Origin = "http://" + net.JoinHostPort(host, strconv.Itoa(s.o.PublicPort))
	}
	if s.o.RTMPPort != 0 {
		out.Publish = "rtmp://" + host
		if strings.Contains(host, ":") {
			out.Publish = "rtmp://[" + host + "]"
		}
		if s.o.RTMPPort != 1935 {
			out.Publish += ":" + strconv.Itoa(s.o.RTMPPort)
		}
		out.Publish += "/" + s.o.App
	}
	writeJSON(w, http.StatusOK, out)
}
