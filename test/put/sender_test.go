package put

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// relay stands between an encoder and the server, and knows what was sent. It keeps the order of what it forwards. An encoder that asks again
// for what was not answered is what it makes of one that does not: MediaLive and others retry, FFmpeg does not.
type relay struct {
	t   *testing.T
	to  string // host:port
	URL string

	mu    sync.Mutex
	files map[string][]byte // segments that were answered with 200, by path
	order []string
	said  map[int]int // answers, by status
	tries int         // requests that had no answer and were sent again

	// Who takes from one of them is told when a segment has been answered, and its playlist not sent, or when a playlist has been; the
	// channel it gets ends that.
	segment, playlist chan chan struct{}
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	r := &relay{t: t, to: to, files: map[string][]byte{}, said: map[int]int{}, segment: make(chan chan struct{}), playlist: make(chan chan struct{})}
	var turn sync.Mutex
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		turn.Lock()
		defer turn.Unlock()
		status, words := r.forward(q, body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, words)
	}))
	t.Cleanup(srv.Close)
	r.URL = srv.URL
	return r
}

// forward sends a request on until it is answered.
func (r *relay) forward(q *http.Request, body []byte) (status int, words string) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		out, err := http.NewRequest(q.Method, "http://"+r.to+q.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			r.t.Error(err)
			return http.StatusBadGateway, ""
		}
		out.Header = q.Header.Clone()
		res, err := http.DefaultClient.Do(out)
		if err != nil {
			r.mu.Lock()
			r.tries++
			r.mu.Unlock()
			continue
		}
		said, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		r.note(q.URL.Path, res.StatusCode, body)
		moment := r.playlist
		if path.Ext(q.URL.Path) == ".ts" {
			moment = r.segment
		}
		over := make(chan struct{})
		select {
		case moment <- over:
			<-over
		default:
		}
		return res.StatusCode, string(said)
	}
	return http.StatusGatewayTimeout, ""
}

func (r *relay) note(name string, status int, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said[status]++
	if status != http.StatusOK || path.Ext(name) != ".ts" {
		return
	}
	if _, again := r.files[name]; !again {
		r.order = append(r.order, name)
	}
	r.files[name] = body
}

// sent is what the encoder was told had come, in its order.
func (r *relay) sent() (all [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range r.order {
		all = append(all, r.files[name])
	}
	return all
}

// good reports what was answered with anything but 200.
func (r *relay) good() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for status, n := range r.said {
		if status != http.StatusOK {
			r.t.Errorf("%d requests were answered with %d", n, status)
		}
	}
}

// serve starts a server that takes HLS, and returns where.
func serve(t *testing.T, yaml string) (p *rig.Process, at string) {
	t.Helper()
	at = rig.FreeAddress(t)
	return rig.Serve(t, t.TempDir(), rig.Brisk+"ingest_http: {listen: \""+at+"\"}\n"+yaml), at
}

// encode has FFmpeg send a counted clip in real time.
func encode(t *testing.T, clip, url string, args ...string) *rig.Tool {
	t.Helper()
	all := []string{"-nostdin", "-v", "error", "-re", "-i", clip, "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "hls", "-hls_time", "1", "-hls_list_size", "6", "-method", "PUT"}
	return rig.Launch(t, "ffmpeg", append(append(all, args...), url)...)
}

// archived is what the finished recording of a stream has in the bucket; nil in the place of a gap.
func archived(t *testing.T, v *rig.Vault, stream, recording string) (m *m3u8.Media, all [][]byte) {
	t.Helper()
	key := rig.ArchiveKey(stream, recording)
	if m = v.Media(key); m == nil {
		t.Fatalf("%s is not in the bucket", key)
	}
	for i := range m.Segments {
		if m.Segments[i].Gap {
			all = append(all, nil)
			continue
		}
		body, _, ok := v.Get(path.Join(path.Dir(key), m.Segments[i].URI))
		if !ok {
			t.Errorf("%s names %s, which is not there", key, m.Segments[i].URI)
		}
		all = append(all, body)
	}
	return m, all
}

// same holds what is in the bucket to what was sent.
func same(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d segments are archived, %d were sent", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("segment %d: %d bytes are archived, %d others were sent", i, len(got[i]), len(want[i]))
		}
	}
}

// segments has FFmpeg cut n segments of a second into a folder, without waiting for the time to pass.
func segments(t *testing.T, n int) (bodies [][]byte) {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x90:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", fmt.Sprint(n),
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-b:a", "32k", "-f", "hls", "-hls_time", "1", "-hls_list_size", "0", "-hls_segment_filename", dir+"/%05d.ts", dir+"/index.m3u8").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for i := range n {
		b, err := os.ReadFile(fmt.Sprintf("%s/%05d.ts", dir, i))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, b)
	}
	return bodies
}

// page is a playlist whose newest segment is n.
func page(n, window int) string {
	var b strings.Builder
	from := max(0, n+1-window)
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:%d\n", from)
	for i := from; i <= n; i++ {
		fmt.Fprintf(&b, "#EXTINF:1.000000,\n%05d.ts\n", i)
	}
	return b.String()
}
