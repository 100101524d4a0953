package cloudfront

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// cases are typical servers: the plainest, one with everything, one with TLS only, and unusual figures.
func cases() map[string]Options {
	return map[string]Options{
		"plain": {App: "live", HTTPPort: 5080, TargetDuration: 4, MaxTargetDuration: 12, IdleTimeout: 125 * time.Second},
		"full": {
			App: "live", Domain: "origin.example.com", HTTPPort: 5080, SecretHeader: "X-Origin-Secret",
			TargetDuration: 4, MaxTargetDuration: 12, IdleTimeout: 125 * time.Second,
			CORSOrigins: []string{"https://example.com", "https://example.org:8443"}, ShieldRegion: "eu-central-1",
			PriceClass: "PriceClass_100", Aliases: []string{"live.example.com"},
			CertificateARN: "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012",
			Bucket: &Bucket{Name: "my-bucket", Prefix: "archive/", Region: "eu-central-1", ACL: true, Tags: true, Remove: true, ExpireDays: 32, Packages: "vod/",
				KMSKey: "arn:aws:kms:eu-central-1:123456789012:key/12345678-1234-1234-1234-123456789012"},
		},
		"tls": {
			App: "Sport.2", Domain: "origin.example.com", HTTPSPort: 8443, TargetDuration: 1, IdleTimeout: 20 * time.Second,
			Bucket: &Bucket{Name: "recordings"},
		},
		"signed": {
			App: "live", HTTPPort: 5080, TargetDuration: 4, MaxTargetDuration: 12, IdleTimeout: 125 * time.Second,
			CORSOrigins: []string{"https://example.com"}, PublicKeys: []string{rsaPublic, ecdsaPublic}, KeyGroups: []string{"b79a7a1c-8c2f-4d0e-9a55-0c6f1f3f2d11"},
		},
		"low": {
			App: "live", Domain: "origin.example.com", HTTPPort: 5080, TargetDuration: 4, MaxTargetDuration: 12, IdleTimeout: 125 * time.Second,
			LowLatency: true, DeltaUpdates: true, Bucket: &Bucket{Name: "recordings", Region: "us-east-1", Packages: "vod/"},
		},
		"both": {
			App: "live", HTTPPort: 8080, HTTPSPort: 443, TargetDuration: 7, MaxTargetDuration: 7, CORSOrigins: []string{"*"},
			Bucket: &Bucket{Name: "recordings", Region: "us-east-1", Remove: true, Packages: "live/films/"},
		},
	}
}

func printed(t *testing.T, o Options) (cloudformation, terraform []byte) {
	t.Helper()
	var c, h bytes.Buffer
	if err := CloudFormation(&c, o); err != nil {
		t.Fatal(err)
	}
	if err := Terraform(&h, o); err != nil {
		t.Fatal(err)
	}
	return c.Bytes(), h.Bytes()
}

func TestGolden(t *testing.T) {
	for name, o := range cases() {
		c, h := printed(t, o)
		for file, got := range map[string][]byte{name + ".yaml": c, name + ".tf": h} {
			path := filepath.Join("testdata", file)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); d != "" {
				t.Errorf("%s (-golden +printed; go test -update writes it):\n%s", file, d)
			}
		}
	}
}

func TestSameBytesEachTime(t *testing.T) {
	for name, o := range cases() {
		c, h := printed(t, o)
		for range 10 {
			c2, h2 := printed(t, o)
			if !bytes.Equal(c, c2) || !bytes.Equal(h, h2) {
				t.Fatalf("%s: two prints differ", name)
			}
		}
	}
}
