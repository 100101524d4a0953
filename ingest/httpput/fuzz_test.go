package httpput

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/auth"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// FuzzRequest: no path, header or body makes the server panic or answer with nothing; and no playlist makes it look outside the stream's folder.
func FuzzRequest(f *testing.F) {
	st := film(f, 2, 1)
	f.Add("/live/show/seg0.ts", "", st.segments[0])
	f.Add("/live/show/index.m3u8", "Basic c2hvdzpr", []byte(st.page(0, 1, 2, numbered)))
	f.Add("/live/show/index.m3u8?key=a", `Digest username="a", nonce="b", response="c"`, []byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na/x.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nb/x.m3u8\n"))
	f.Add("/live/streams/show/2024/live.m3u8", "", []byte("#EXTM3U\n#EXTINF:1,\n../x.ts\n"))
	f.Add("/live/show000000001.ts", "Bearer x", st.segments[1][:1880])
	f.Fuzz(func(t *testing.T, path, authorization string, body []byte) {
		now := start.Add(time.Hour)
		app := segmenter.DefaultAppOptions()
		reg := segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": app}, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		a, err := auth.New(auth.Options{Apps: map[string]auth.App{"live": {Open: true}}, ValidStream: segmenter.ValidStream, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		memory := ingest.NewMemory(64 << 20)
		s := New(Options{
			Publisher: reg, Authorizer: a, Password: a.Password, Now: func() time.Time { return now }, Memory: memory,
			Form: func(app, ladder string, rungs []string) error {
				return reg.Form(segmenter.Key{App: app, Stream: ladder}, rungs)
			},
		})
		r, err := http.NewRequest(http.MethodPut, "http://x.test/", nil)
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		if r.URL, err = r.URL.Parse(path); err != nil || r.URL.Host != "x.test" {
			return
		}
		r.RequestURI, r.RemoteAddr = path, "127.0.0.1:1"
		r.Header.Set("Authorization", authorization)
		for range 2 {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
			s.ServeHTTP(httptest.NewRecorder(), r)
			for _, w := range s.all() {
				for _, in := range w.inputs {
					for _, l := range in.lines {
						for _, e := range l.entries {
							if strings.Contains(e.file, "..") && strings.Contains("/"+e.file+"/", "/../") || strings.HasPrefix(e.file, "/") {
								t.Errorf("a playlist led to %q", e.file)
							}
						}
					}
				}
			}
			for range 20 {
				now = now.Add(3 * time.Second)
				s.Tick(now)
				reg.Expire(now)
			}
		}
		s.endAll(ingest.ErrShutdown)
		if n := memory.Used(); n != 0 {
			t.Errorf("%d bytes are still accounted for", n)
		}
	})
}
