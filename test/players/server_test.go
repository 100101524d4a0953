package players

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

func TestMain(m *testing.M) { rig.Main(m) }

// server is a running server.
type server struct {
	http, rtmp string // URLs of the app "live"
	admin      string // URL of the API
	dir        string // where it works
	log        *output
}

// settings are those for all shows: short segments, and a recording that ends soon after its publisher has.
const settings = `
http: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
rtmp: {listen: "127.0.0.1:0"}
rtsp: {listen: ""}
hls: {segment_duration: 2s, reconnect_grace: 20s, end_grace: 1s}
log: {format: json}
`

// serve starts the server with its data in its own folder; apps is the rest of the configuration. It ends with the test.
func serve(t *testing.T, apps string) *server {
	t.Helper()
	path, err := rig.Program()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte(settings+apps), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-config", config)
	cmd.Dir = dir
	x := start(t, cmd, nil)
	s := &server{log: &x.out, dir: dir}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("server log:\n%s", strings.Join(s.complaints(), "\n"))
		}
	})
	rig.Eventually(t, 20*time.Second, "the server listens", func() bool {
		for _, line := range x.out.lines() {
			var l struct{ For, On string }
			if json.Unmarshal([]byte(line), &l) != nil {
				continue
			}
			switch l.For {
			case "HLS":
				s.http = "http://" + l.On + "/live"
			case "RTMP":
				s.rtmp = "rtmp://" + l.On + "/live"
			case "admin":
				s.admin = "http://" + l.On + "/v1"
			}
		}
		return s.http != "" && s.rtmp != "" && s.admin != ""
	})
	return s
}

// complaints returns the warnings and errors of the server's log.
func (s *server) complaints() (out []string) {
	for _, line := range s.log.lines() {
		var l struct{ Level string }
		if json.Unmarshal([]byte(line), &l) != nil || l.Level != "INFO" && l.Level != "DEBUG" {
			out = append(out, line)
		}
	}
	return out
}

// entry returns the address that viewers are given.
func (s *server) entry(stream string) string { return s.http + "/streams/" + stream + ".m3u8" }

// recording returns the one that the entry leads to now, or "".
func (s *server) recording(stream string) string {
	if m := s.master(stream); m != nil {
		parts := strings.Split(m.Variants[0].URI, "/")
		return parts[len(parts)-2]
	}
	return ""
}

// master returns the entry's playlist, or nil if there is none yet.
func (s *server) master(stream string) *m3u8.Master {
	m, err := m3u8.ParseMaster(get(s.entry(stream)))
	if err != nil || len(m.Variants) == 0 {
		return nil
	}
	return m
}

// live returns the live playlists that the entry names, best first.
func (s *server) live(stream string) (all []*m3u8.Media) {
	if m := s.master(stream); m != nil {
		for _, v := range m.Variants {
			if p, err := m3u8.ParseMedia(get(s.http + "/streams/" + v.URI)); err == nil {
				all = append(all, p)
			}
		}
	}
	return all
}

// listing returns everything that the entry leads to, as text.
func (s *server) listing(stream string) string {
	out := string(get(s.entry(stream)))
	if m := s.master(stream); m != nil {
		for _, v := range m.Variants {
			out += "\n" + v.URI + "\n" + string(get(s.http+"/streams/"+v.URI))
		}
	}
	return out
}

// archive returns the address of a whole recording, and its content.
func (s *server) archive(stream, recording string) (url string, all []*m3u8.Media) {
	url = s.http + "/streams/" + stream + "-" + recording + ".m3u8"
	body := get(url)
	if p, err := m3u8.ParseMedia(body); err == nil && len(p.Segments) > 0 {
		return url, []*m3u8.Media{p}
	}
	if m, err := m3u8.ParseMaster(body); err == nil {
		for _, v := range m.Variants {
			if p, err := m3u8.ParseMedia(get(s.http + "/streams/" + v.URI)); err == nil {
				all = append(all, p)
			}
		}
	}
	return url, all
}

// bucketURL serves the bucket's folder like a plain web server, and returns the address of the app in it.
func (s *server) bucketURL(t *testing.T) string {
	files := http.FileServer(http.Dir(filepath.Join(s.dir, "bucket")))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		switch path.Ext(r.URL.Path) {
		case ".ts":
			w.Header().Set("Content-Type", "video/mp2t")
		case ".m3u8":
			w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	return web.URL + "/live"
}

// lacks returns the segments that playlists name, including gaps, and a server does not have.
func lacks(base string, all []*m3u8.Media) (missing []string) {
	for _, m := range all {
		for _, s := range m.Segments {
			if get(base+"/streams/"+s.URI) == nil {
				missing = append(missing, s.URI)
			}
		}
	}
	return missing
}

// length returns how much there is to play in a playlist, without gaps.
func length(p *m3u8.Media) (sum time.Duration) {
	for _, s := range p.Segments {
		if !s.Gap {
			sum += time.Duration(s.Duration) * time.Second / 90000
		}
	}
	return sum
}

// get returns the body of a URL, or nil.
func get(url string) []byte {
	res, err := http.Get(url)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return nil
	}
	return body
}
