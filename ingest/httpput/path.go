package httpput

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// target is what a request's path names.
type target struct {
	app  string
	name string // of the stream, or the secret key that stands for it
	file string // below the stream's folder, "index.m3u8" or "720p/000017.ts"; empty: the folder itself
}

const (
	maxPath     = 1024 // bytes
	maxElements = 8
)

var errPath = ingest.Refuse(ingest.BadName, "the address must be http://HOST/APP/STREAM/FILE, as in http://HOST:5082/live/show/index.m3u8")

// parsePath reads /APP/STREAM/FILE, where FILE may be in folders. Two other forms are known: /APP/streams/STREAM/FILE, which is where this
// server itself serves a stream, and /APP/FILE of Ant Media Server, whose files are named by their stream.
func parsePath(escaped string) (t target, err error) {
	all, err := elements(escaped)
	if err != nil {
		return t, err
	}
	switch {
	case len(all) < 2:
		return t, errPath
	case all[1] == "streams" && len(all) > 3:
		all = append(all[:1], all[2:]...)
	}
	t.app = all[0]
	if len(all) > 2 {
		t.name, t.file = all[1], strings.Join(all[2:], "/")
		return t, nil
	}
	if path.Ext(all[1]) == "" || strings.HasSuffix(escaped, "/") {
		t.name = all[1]
		return t, nil
	}
	t.file = all[1]
	if t.name = streamOf(t.file); t.name == "" {
		return t, errPath
	}
	return t, nil
}

// elements unescapes the elements of a path, which have to be plain.
func elements(escaped string) (all []string, err error) {
	if len(escaped) > maxPath {
		return nil, ingest.Refuse(ingest.BadName, "the path is longer than %d bytes", maxPath)
	}
	for e := range strings.SplitSeq(strings.Trim(escaped, "/"), "/") {
		if e, err = url.PathUnescape(e); err != nil {
			return nil, errPath
		}
		if !utf8.ValidString(e) {
			return nil, ingest.Refuse(ingest.BadName, "the path has an element that is not UTF-8")
		}
		if e == "" || e == "." || e == ".." || strings.ContainsAny(e, "/\\") || strings.ContainsFunc(e, func(r rune) bool { return r < ' ' || r == 0x7F }) {
			return nil, ingest.Refuse(ingest.BadName, "the path has an element that no file can have as its name")
		}
		if all = append(all, e); len(all) > maxElements {
			return nil, ingest.Refuse(ingest.BadName, "the path has more than %d elements", maxElements)
		}
	}
	return all, nil
}

// digits is how many Ant Media Server puts behind a stream's name to name a segment.
const digits = 9

// streamOf is the stream that a file without a folder belongs to; empty: none.
func streamOf(file string) string {
	name := strings.TrimSuffix(file, path.Ext(file))
	if isPlaylist(file) {
		return strings.TrimSuffix(name, "_adaptive")
	}
	n := len(name) - digits
	if n <= 0 || strings.Trim(name[n:], "0123456789") != "" {
		return ""
	}
	return name[:n]
}

func isPlaylist(file string) bool {
	ext := strings.ToLower(path.Ext(file))
	return ext == ".m3u8" || ext == ".m3u"
}

// resolve is the file that a playlist's URI names, below the stream's folder. own is the playlist's target, host the one it was sent to.
func resolve(own target, host, uri string) (file string, err error) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", ingest.Refuse(ingest.BadName, "a playlist names an address that cannot be read")
	}
	foreign := ingest.Refuse(ingest.Unsupported, "a playlist names %.100q, which is not in the stream's folder: only what is sent to it can be taken", u.Redacted())
	at := u.EscapedPath()
	switch {
	case u.Opaque != "" || u.IsAbs() && u.Scheme != "http" && u.Scheme != "https":
		return "", foreign
	case u.Host != "" && u.Host != host:
		return "", foreign
	case u.Host == "" && !strings.HasPrefix(at, "/"):
		at = path.Join(path.Dir(own.file), at)
		if at == ".." || strings.HasPrefix(at, "../") {
			return "", foreign
		}
		all, err := elements(at)
		if err != nil {
			return "", foreign
		}
		return strings.Join(all, "/"), nil
	}
	t, err := parsePath(at)
	if err != nil || t.app != own.app || t.name != own.name {
		return "", foreign
	}
	return t.file, nil
}
