package s3

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func writePEM(t *testing.T, name string, c *x509.Certificate) {
	t.Helper()
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkPut uploads over http to a server in the same process that discards: CPU seconds per GB are of both ends.
func BenchmarkPut(b *testing.B) {
	s := open(b, options(b, storetest.DiscardS3(b)))
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
