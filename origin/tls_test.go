package origin

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// certificate writes a new self-signed pair, and returns its DER form.
func certificate(t testing.TB, files TLS) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		files.CertFile: {Type: "CERTIFICATE", Bytes: der}, files.KeyFile: {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return der
}

func TestTLSWithHTTP2AndReload(t *testing.T) {
	dir := t.TempDir()
	files := TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	first := certificate(t, files)
	var later atomic.Int64 // advances the clock
	r := newRig(t, Options{TLS: &files, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
	r.publish("cam").run(21 * time.Second)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.origin.ServeTLS(ctx, l) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	get := func(path, proto string) (*http.Response, []byte) {
		t.Helper()
		tr := &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: proto == "HTTP/2.0", DisableCompression: true,
		}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr}).Get("https://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.Proto != proto {
			t.Fatalf("%s: %s %v", path, res.Proto, err)
		}
		return res, body
	}
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		res, body := get(r.live("cam"), proto)
		reply{res, body}.want(t, 200, "Cache-Control", "public, max-age=2, stale-if-error=4", "Access-Control-Allow-Origin", "*")
		if !bytes.Equal(body, r.snapshot("cam").Live.Body) {
			t.Errorf("%s: %q", proto, body)
		}
		res, body = get(r.segment("cam", 2), proto)
		reply{res, body}.want(t, 200, "Content-Type", "video/mp2t")
		if int64(len(body)) != res.ContentLength {
			t.Errorf("%s: %d of %d bytes", proto, len(body), res.ContentLength)
		}
		if !bytes.Equal(res.TLS.PeerCertificates[0].Raw, first) {
			t.Error("another certificate")
		}
	}

	second := certificate(t, files)
	later.Add(int64(tlsRecheck))
	if res, _ := get("/healthz", "HTTP/2.0"); !bytes.Equal(res.TLS.PeerCertificates[0].Raw, second) {
		t.Error("the old certificate after a change of the files")
	}
	if err := os.WriteFile(files.CertFile, []byte("nothing of use"), 0o600); err != nil {
		t.Fatal(err)
	}
	later.Add(int64(tlsRecheck))
	if res, _ := get("/healthz", "HTTP/2.0"); !bytes.Equal(res.TLS.PeerCertificates[0].Raw, second) {
		t.Error("a broken file took the certificate away")
	}
	if r.origin.Stats().CertErrs.Load() == 0 {
		t.Error("the failure is not counted")
	}
	other := TLS{CertFile: filepath.Join(dir, "other.pem"), KeyFile: filepath.Join(dir, "other-key.pem")}
	third := certificate(t, other)
	r.origin.Reconfigure(Rules{CertFile: other.CertFile, KeyFile: other.KeyFile})
	later.Add(int64(tlsRecheck))
	if res, _ := get("/healthz", "HTTP/2.0"); !bytes.Equal(res.TLS.PeerCertificates[0].Raw, third) {
		t.Error("the old certificate after other files were named")
	}
	r.origin.Reconfigure(Rules{})
	later.Add(int64(tlsRecheck))
	if res, _ := get("/healthz", "HTTP/2.0"); !bytes.Equal(res.TLS.PeerCertificates[0].Raw, third) {
		t.Error("the certificate of the start came back where none was named")
	}
}

func TestTLSNeedsItsFiles(t *testing.T) {
	for _, files := range []*TLS{nil, {CertFile: "nowhere.pem", KeyFile: "nowhere.pem"}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		err = New(Options{Streams: nowhere{}, Now: time.Now, TLS: files}).ServeTLS(t.Context(), l)
		if err == nil || files != nil && !strings.Contains(err.Error(), "nowhere.pem") {
			t.Errorf("error %v", err)
		}
	}
}

func TestHTTP2ViewerThatTakesNothing(t *testing.T) {
	dir := t.TempDir()
	files := TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	certificate(t, files)
	r := newRig(t, Options{TLS: &files, WriteTimeout: 100 * time.Millisecond})
	e := r.publish("big")
	e.size = 400_000
	e.run(13 * time.Second)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.origin.ServeTLS(ctx, l) }()
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	res, err := (&http.Client{Transport: tr}).Get("https://" + l.Addr().String() + r.segment("big", 1))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the drop", func() bool { return r.origin.Stats().SlowViewers.Load() > 0 })
	if _, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Error("the answer was whole")
	}
	res.Body.Close()
	tr.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
