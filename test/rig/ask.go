package rig

import (
	"encoding/json"
	"io"
	"net/http"
	"path"

	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// Status requests a URL and returns the status, or 0 if there is no answer.
func (p *Process) Status(url string) int {
	res, err := http.Get(url)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// RecordingOf returns the recording that a stream's stable entry names.
func (p *Process) RecordingOf(stream string) string {
	m, err := m3u8.ParseMaster([]byte(p.Get(p.URL(EntryKey(stream)))))
	if err != nil || len(m.Variants) == 0 {
		return ""
	}
	return path.Base(path.Dir(m.Variants[0].URI))
}

// Streams returns what /api/streams shows, by name.
func (p *Process) Streams() map[string]admin.Stream {
	p.T.Helper()
	var list struct{ Streams []admin.Stream }
	if err := json.Unmarshal([]byte(p.Get("http://"+p.Admin+"/api/streams")), &list); err != nil {
		p.T.Fatal(err)
	}
	byName := map[string]admin.Stream{}
	for _, s := range list.Streams {
		byName[s.Name] = s
	}
	return byName
}

// TryGet returns the body of a URL, or "".
func TryGet(url string) string {
	res, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}
