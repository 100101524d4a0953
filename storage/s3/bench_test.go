package s3

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func writePEM(t testing.TB, name string, c *x509.Certificate) {
	t.Helper()
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkPut uploads to a server in its own process that discards the data, so CPU seconds per GB are only those of this end. Over http
// the body is hashed for the signature, over https it is encrypted.
func BenchmarkPut(b *testing.B) {
	b.Run("http", func(b *testing.B) { benchmarkPut(b, elsewhere(b, "http")) })
	b.Run("https", func(b *testing.B) { benchmarkPut(b, elsewhere(b, "https")) })
}

// elsewhere starts TestServeElsewhere in another process.
func elsewhere(b *testing.B, scheme string) Options {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestServeElsewhere$")
	cmd.Env = append(os.Environ(), "HLSORIGIN_TEST_SERVE="+scheme)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // it ends when this is closed
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	said := bufio.NewReader(out)
	url, err := said.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	o := options(b, storetest.Server{Endpoint: strings.TrimSpace(url), AccessKey: "k", SecretKey: "s", Bucket: "b"})
	if scheme == "https" {
		var certificate bytes.Buffer
		for !bytes.Contains(certificate.Bytes(), []byte("END CERTIFICATE")) {
			line, err := said.ReadBytes('\n')
			if err != nil {
				b.Fatal(err)
			}
			certificate.Write(line)
		}
		ca := b.TempDir() + "/ca.pem"
		if err := os.WriteFile(ca, certificate.Bytes(), 0o666); err != nil {
			b.Fatal(err)
		}
		b.Setenv("AWS_CA_BUNDLE", ca)
	}
	return o
}

// TestServeElsewhere is the other end of BenchmarkPut, not a test.
func TestServeElsewhere(t *testing.T) {
	scheme := os.Getenv("HLSORIGIN_TEST_SERVE")
	if scheme == "" {
		t.Skip("the other end of BenchmarkPut, which starts it")
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"1"`)
	}))
	if scheme == "https" {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	defer srv.Close()
	fmt.Println(srv.URL)
	if scheme == "https" {
		_ = pem.Encode(os.Stdout, &pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func benchmarkPut(b *testing.B, o Options) {
	s := open(b, o)
	body := storetest.Random(1, 1500*1000)
	var parts [][]byte // as a segment is laid out in memory
	for part := range slices.Chunk(body, 64<<10) {
		parts = append(parts, part)
	}
	a := storage.Attributes{ContentType: "video/mp2t", CacheControl: "public, max-age=31536000, immutable", IfAbsent: true}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	cpu := cpuTime(b)
	for b.Loop() {
		if _, err := s.Put(b.Context(), "live/streams/cam/1.ts", storage.Body(parts), a); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpuTime(b)-cpu).Seconds()/(float64(b.N)*float64(len(body))/1e9), "cpu-s/GB")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
