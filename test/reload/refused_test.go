package reload

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// certify writes a certificate with a serial number, and its key.
func certify(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// serial returns the serial number of the certificate that a server shows.
func serial(address string) int64 {
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return 0
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// reasons returns what the log says about refused reloads.
func reasons(p *rig.Process) (all []string) {
	for line := range strings.SplitSeq(p.Log.String(), "\n") {
		var m struct{ Msg, Error string }
		if json.Unmarshal([]byte(line), &m) == nil && strings.HasPrefix(m.Msg, "the configuration was not reloaded") {
			all = append(all, m.Error)
		}
	}
	return all
}

// TestReloadRefused gives a running server invalid configurations: everything stays as it was, whatever else they say, and log and metrics
// report it. What needs a restart is named, and the rest is put in force.
func TestReloadRefused(t *testing.T) {
	dir := t.TempDir()
	cert, key := certify(t, dir, 1)
	rtmps := rig.FreeAddress(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	yaml := func(tlsListen, cert, apps string) string {
		return fmt.Sprintf("rtsp: {listen: \"\"}\nrtmp: {tls: {listen: %q, cert: %q, key: %q}}\napps: %s\n", tlsListen, cert, key, apps)
	}
	const before, after = "{live: {keys: {cam: first-key}}}", "{live: {keys: {cam: second-key}}}"
	p := rig.Serve(t, dir, yaml(rtmps, cert, before))
	was := p.Metric("hlsorigin_config_last_reload_success_timestamp_seconds")
	if p.Metric(good) != 1 || was < float64(time.Now().Add(-time.Minute).Unix()) {
		t.Error("a start is no success")
	}
	publisher := rig.Shoot(t, p, "first-key")
	rig.Eventually(t, 20*time.Second, "it publishes", func() bool { return len(p.Streams()) == 1 })
	none := filepath.Join(dir, "none.pem")
	for name, c := range map[string]struct{ yaml, says string }{
		"no YAML":           {yaml(rtmps, cert, after) + "hls: {window: [", "not YAML"},
		"an unknown key":    {yaml(rtmps, cert, after) + "hls: {windo: 5s}\n", "config.yaml:4: hls.windo: unknown key (did you mean"},
		"two mistakes":      {yaml(rtmps, cert, after) + "hls: {window: 60}\nhttp: {max_connections: many}\n", "; "},
		"one key for two":   {yaml(rtmps, cert, "{live: {keys: {cam: second-key, b: second-key}}}"), "is the same secret as that of"},
		"a port in use":     {yaml(taken.Addr().String(), cert, after), "rtmp.tls.listen: cannot listen on " + taken.Addr().String()},
		"no certificate":    {yaml(rtmps, none, after), "rtmp.tls: certificate " + none},
		"a bad certificate": {yaml(rtmps, key, after), "rtmp.tls: certificate " + key},
	} {
		n := len(reasons(p))
		reload(t, p, c.yaml, refused)
		rig.Eventually(t, 5*time.Second, name+" is in the log", func() bool { return len(reasons(p)) > n })
		if got := reasons(p)[n]; !strings.Contains(got, c.says) || strings.Contains(got, "second-key") {
			t.Errorf("%s: %q", name, got)
		}
		if p.Metric(good) != 0 {
			t.Errorf("%s: it is a success", name)
		}
	}
	publisher.Mu.Lock()
	if publisher.Connects != 0 {
		t.Errorf("the publisher was dropped: %v", publisher.Refused)
	}
	publisher.Mu.Unlock()
	if got := serial(rtmps); got != 1 {
		t.Errorf("the certificate is number %d", got)
	}
	// A reload that succeeds, with a setting that it cannot put in force.
	reload(t, p, yaml(rtmps, cert, before)+"spool: {max_bytes: 1GiB}\nhls: {window: 50s}\n", done)
	waiting := regexp.MustCompile(`"waiting":"spool\.max_bytes"`)
	rig.Eventually(t, 5*time.Second, "what waits is named", func() bool { return len(p.Log.Matching(waiting)) == 1 })
	if p.Metric(good) != 1 || p.Metric("hlsorigin_config_waiting_settings") != 1 {
		t.Error("it is no success, or nothing waits")
	}
	// A renewed certificate is served silently, a broken one is not served.
	certify(t, dir, 2)
	rig.Eventually(t, 20*time.Second, "the new certificate is served", func() bool { return serial(rtmps) == 2 })
	if err := os.WriteFile(cert, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, 20*time.Second, "the broken one is refused", func() bool { return p.Metric(good) == 0 })
	if got := serial(rtmps); got != 2 {
		t.Errorf("the certificate is number %d", got)
	}
	certify(t, dir, 3)
	rig.Eventually(t, 20*time.Second, "the next one is served", func() bool { return serial(rtmps) == 3 && p.Metric(good) == 1 })
	publisher.Mu.Lock()
	defer publisher.Mu.Unlock()
	if publisher.Connects != 0 {
		t.Errorf("the publisher was dropped: %v", publisher.Refused)
	}
}
