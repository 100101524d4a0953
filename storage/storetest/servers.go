package storetest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Server is a running S3 server with one empty bucket.
type Server struct {
	Endpoint             string
	AccessKey, SecretKey string
	Bucket               string
	// Dir is the directory in which versitygw keeps its buckets as plain directories; empty for other servers.
	Dir string
	// Stop kills it before the test ends; nil for servers other than versitygw.
	Stop func()
}

// Versitygw starts a real S3 server on a free port, with one bucket in a new directory. It ends with the test. If the program is missing,
// the test is skipped.
func Versitygw(t testing.TB) Server {
	t.Helper()
	return VersitygwIn(t, t.TempDir(), "")
}

// VersitygwIn is Versitygw on a given directory, so that a test can stop one and start another on the same data. If addr is "" it uses a
// free port.
func VersitygwIn(t testing.TB, dir, addr string) Server {
	t.Helper()
	p := Programs()[0]
	program := p.need(t)
	attempts := 1
	if addr == "" {
		attempts = 5 // another process may take a free port before we do
	}
	for n := 1; ; n++ {
		at := addr
		if at == "" {
			at = freeAddress(t)
		}
		s, err := p.launch(t, program, dir, at)
		if err == nil {
			return s
		}
		if n == attempts {
			t.Fatal(err)
		}
	}
}

// GoFakeS3 starts an S3 server inside the test, in memory. It checks no signatures and loses Cache-Control on HEAD.
func GoFakeS3(t testing.TB) Server {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(srv.Close)
	return Server{Endpoint: srv.URL, AccessKey: "k", SecretKey: "s", Bucket: "bucket"}
}

// DiscardS3 starts a server that confirms every PUT and keeps nothing, to measure what uploading costs by itself.
func DiscardS3(t testing.TB) Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
	}))
	t.Cleanup(srv.Close)
	return Server{Endpoint: srv.URL, AccessKey: "k", SecretKey: "s", Bucket: "bucket"}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr())
}

// lockedBuffer is written by a process's two copying goroutines and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
