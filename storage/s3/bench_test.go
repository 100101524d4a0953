package s3

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
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

// BenchmarkPut uploads to a server in the same process that discards, so CPU seconds per GB are of both ends. Over http the
// body is hashed for the signature, over https it is encrypted.
func BenchmarkPut(b *testing.B) {
	b.Run("http", func(b *testing.B) { benchmarkPut(b, options(b, storetest.DiscardS3(b))) })
	b.Run("https", func(b *testing.B) {
		srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("ETag", `"1"`)
		}))
		defer srv.Close()
		ca := b.TempDir() + "/ca.pem"
		writePEM(b, ca, srv.Certificate())
		o := options(b, storetest.Server{Endpoint: srv.URL, AccessKey: "k", SecretKey: "s", Bucket: "b"})
		b.Setenv("AWS_CA_BUNDLE", ca)
		benchmarkPut(b, o)
	})
}

func benchmarkPut(b *testing.B, o Options) {
	s := open(b, o)
	body := storetest.Random(1, 1500*1000)
	a := storage.Attributes{ContentType: "video/mp2t", CacheControl: "public, max-age=31536000, immutable", IfAbsent: true}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	cpu := cpuTime(b)
	for b.Loop() {
		if err := s.Put(b.Context(), "live/streams/cam/1.ts", bytes.NewReader(body), a); err != nil {
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
