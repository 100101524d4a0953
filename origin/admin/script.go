package admin

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"strconv"
)

// ScriptPath is where a server serves the hls.js that it has.
const ScriptPath = "/hls.js"

//go:embed hlsjs
var scripts embed.FS

// EmbeddedScript returns the hls.js that was built into the program; nil where none was.
func EmbeddedScript() []byte {
	body, err := scripts.ReadFile("hlsjs/hls.min.js")
	if err != nil {
		return nil
	}
	return body
}

// script serves hls.js.
func (s *Server) script() http.HandlerFunc {
	sum := sha256.Sum256(s.o.Script)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		if s.o.Script == nil {
			http.Error(w, "hls.js is not in this program: make web fetches it, before a build", http.StatusNotFound)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-cache") // another program may have another one
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		h.Set("Content-Length", strconv.Itoa(len(s.o.Script)))
		_, _ = w.Write(s.o.Script) // it fails only when the reader is gone
	}
}
