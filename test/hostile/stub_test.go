package hostile

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// liar is an S3 server that lists a recording and sends 4 GB for every object, or never ends.
type liar struct {
	*httptest.Server
	sent   atomic.Int64
	asked  chan string // keys of requested objects
	slowly bool        // a byte now and then
}

func newLiar(t *testing.T, slowly bool) *liar {
	l := &liar{asked: make(chan string, 1000), slowly: slowly}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const id = "2023-08-24_16-02-52.970"
	if r.URL.Query().Has("list-type") {
		var b strings.Builder
		b.WriteString(`<?xml version="1.0"?><ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>`)
		prefix := r.URL.Query().Get("prefix")
		switch {
		case prefix == "p/":
			b.WriteString("<CommonPrefixes><Prefix>p/live/</Prefix></CommonPrefixes>")
		case prefix == "p/live/":
			b.WriteString("<CommonPrefixes><Prefix>p/live/streams/</Prefix></CommonPrefixes>")
		case prefix == "p/live/streams/":
			b.WriteString("<Contents><Key>p/live/streams/cam-" + id + ".m3u8</Key><Size>18446744073709551615</Size></Contents>")
			b.WriteString("<CommonPrefixes><Prefix>p/live/streams/cam/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>p/live/streams/&#x9b;31m/</Prefix></CommonPrefixes>")
		}
		b.WriteString("</ListBucketResult>")
		if strings.Contains(b.String(), "18446744073709551615") && l.slowly {
			fmt.Fprint(w, strings.ReplaceAll(b.String(), "18446744073709551615", "1000"))
			return
		}
		fmt.Fprint(w, b.String())
		return
	}
	select {
	case l.asked <- r.URL.Path:
	default:
	}
	w.Header().Set("Content-Length", "4294967296")
	w.Header().Set("ETag", `"x"`)
	w.Header().Set("Last-Modified", "Thu, 24 Aug 2023 16:02:52 GMT")
	if l.slowly {
		w.Header().Set("Content-Length", "1000")
	}
	if r.Method == http.MethodHead {
		return
	}
	piece := []byte("#EXTM3U\n" + strings.Repeat("#", 64<<10) + "\n")
	for {
		if l.slowly {
			piece = piece[:1]
			select {
			case <-time.After(100 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
		n, err := w.Write(piece)
		l.sent.Add(int64(n))
		if err != nil {
			return
		}
		if f, ok := w.(http.Flusher); ok && l.slowly {
			f.Flush()
		}
	}
}

func (l *liar) config(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	yaml := fmt.Sprintf("storage: {url: \"s3://b/p\", endpoint: %q, region: r, path_style: true, access_key: a, secret_key: b}\nspool: {dir: \"\"}\n", l.URL)
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A store that lies about sizes and sends endlessly costs the commands a few of its bytes.
func TestStoreThatGivesWithoutEnd(t *testing.T) {
	l := newLiar(t, false)
	dir := l.config(t)
	const name = "live/cam-2023-08-24_16-02-52.970"
	for _, args := range [][]string{{"ls"}, {"show", name}, {"verify", "-deep", name}, {"export", "-o", "x.ts", name}, {"rm", "-force", name}, {"repair", "-force", name}} {
		said, status := run(t, dir, time.Minute, append(append([]string{"recordings"}, args...), "-config", "config.yaml")...)
		if strings.ContainsAny(said, "\x1b\u009b") || len(said) > 10_000 || strings.Contains(said, "panic") {
			t.Errorf("%q: %d, %.2000q", args, status, said)
		}
		t.Logf("%q: %d, %.300s", args, status, said)
	}
	if sent := l.sent.Load(); sent > 64<<20 {
		t.Errorf("%d MB were read", sent>>20)
	}
	if exists(dir, "x.ts") {
		t.Error("a file was made")
	}
}

// A command that waits for a store ends at a signal, and says so.
func TestToolsEndAtASignal(t *testing.T) {
	const name = "live/cam-2023-08-24_16-02-52.970"
	path, err := rig.Program()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"ls"}, {"verify", name}, {"export", "-o", "x.ts", name}, {"rm", "-yes", "-force", name}} {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			l := newLiar(t, true)
			dir := l.config(t)
			cmd := exec.Command(path, append(append([]string{"recordings"}, args...), "-config", "config.yaml")...)
			cmd.Dir = dir
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-l.asked:
			case <-time.After(20 * time.Second):
				t.Errorf("%q asks for nothing", args)
			}
			began := time.Now()
			if err := cmd.Process.Signal(sig); err != nil {
				t.Error(err)
			}
			late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait() // its status is checked
			late.Stop()
			if took := time.Since(began); took > 3*time.Second || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "stopped by a signal") {
				t.Errorf("%q, %v: %d after %v: %s", args, sig, cmd.ProcessState.ExitCode(), took, out.String())
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*x.ts*")); left != nil {
				t.Errorf("left behind: %q", left)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".x.ts*")); left != nil {
				t.Errorf("left behind: %q", left)
			}
		}
	}
}
