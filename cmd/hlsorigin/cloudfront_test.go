package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin"
	"github.com/hlsorigin/hlsorigin/origin/cloudfront"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// printCloudFront runs the command with a configuration file.
func printCloudFront(t *testing.T, config string, args ...string) (status int, out, errs string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hlsorigin.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	status = run(append([]string{"cloudfront", "-config", path}, args...), environment{out: &o, err: &e})
	return status, o.String(), e.String()
}

func TestCloudFrontOptions(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(*configs.Config)
		flags cloudfrontFlags
		want  cloudfront.Options
		notes int
	}{
		"defaults": {
			want: cloudfront.Options{App: "live", HTTPPort: 5080, IdleTimeout: 125 * time.Second, TargetDuration: 4, MaxTargetDuration: 12},
			// no secret; the bucket is a directory
			notes: 2,
		},
		"everything": {
			set: func(c *configs.Config) {
				c.HTTP.Listen, c.HTTP.TLS = ":8080", configs.TLS{Listen: ":8443", Cert: "c", Key: "k"}
				c.HTTP.CDNSecret.Values = []configs.Secret{"hush"}
				c.HTTP.CORSOrigins = []string{"https://example.com"}
				c.HTTP.IdleTimeout = configs.Duration(30 * time.Second)
				two := configs.Duration(2 * time.Second)
				c.Apps = map[string]configs.App{
					"sport": {HLS: configs.AppHLS{SegmentDuration: &two}, Keep: configs.Duration(30 * 24 * time.Hour)}, "news": {},
				}
				c.Storage.URL, c.Storage.Region, c.Storage.SSE = "s3://bucket/a/b", "eu-west-1", "aws:kms"
				c.Storage.SSEKMSKeyID = "arn:aws:kms:eu-west-1:123456789012:key/1"
				c.Storage.ACL, c.Storage.Tags = "bucket-owner-full-control", map[string]string{"a": "b"}
			},
			flags: cloudfrontFlags{app: "sport", domain: "o.example.com", shield: "eu-west-1", priceClass: "100", certificate: "c", aliases: []string{"a"}},
			want: cloudfront.Options{
				App: "sport", Domain: "o.example.com", HTTPPort: 8080, HTTPSPort: 8443, SecretHeader: "X-Origin-Secret",
				IdleTimeout: 30 * time.Second, TargetDuration: 2, MaxTargetDuration: 12, CORSOrigins: []string{"https://example.com"},
				ShieldRegion: "eu-west-1", PriceClass: "PriceClass_100", Aliases: []string{"a"}, CertificateARN: "c",
				Bucket: &cloudfront.Bucket{Name: "bucket", Prefix: "a/b/", Region: "eu-west-1", Packages: "vod/", KMSKey: "arn:aws:kms:eu-west-1:123456789012:key/1",
					ACL: true, Tags: true, Remove: true, ExpireDays: 32},
			},
		},
		"target duration fixed": {
			set: func(c *configs.Config) {
				c.HLS.TargetDuration = configs.Duration(7 * time.Second)
				c.Storage.URL = "s3://bucket"
				c.Apps["live"] = configs.App{}
			},
			want: cloudfront.Options{App: "live", HTTPPort: 5080, IdleTimeout: 125 * time.Second, TargetDuration: 7, MaxTargetDuration: 7,
				Bucket: &cloudfront.Bucket{Name: "bucket", Packages: "vod/"}},
			notes: 1,
		},
		"half a second": {
			set: func(c *configs.Config) {
				c.HLS.SegmentDuration, c.HTTP.Listen = configs.Duration(2500*time.Millisecond), "127.0.0.1:5080"
				c.Storage.URL, c.Storage.Endpoint = "s3://bucket", "https://s3.example.com"
			},
			want:  cloudfront.Options{App: "live", HTTPPort: 5080, IdleTimeout: 125 * time.Second, TargetDuration: 3, MaxTargetDuration: 12},
			notes: 3,
		},
		"no bucket wanted": {
			set:   func(c *configs.Config) { c.Storage.URL, c.Storage.SSE = "s3://bucket", "aws:kms" },
			flags: cloudfrontFlags{noBucket: true, priceClass: "all"},
			want: cloudfront.Options{App: "live", HTTPPort: 5080, IdleTimeout: 125 * time.Second, TargetDuration: 4, MaxTargetDuration: 12,
				PriceClass: "PriceClass_All"},
			notes: 1,
		},
	} {
		cfg := configs.Default()
		if c.set != nil {
			c.set(&cfg)
		}
		got, notes, err := cloudfrontOptions(cfg, c.flags)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-wanted +got):\n%s", name, d)
		}
		if len(notes) != c.notes {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
}

func TestCloudFrontPrints(t *testing.T) {
	const config = `
http: {listen: ":5081", cdn_secret: {header: X-Hush, values: [hush-hush-1, hush-hush-2]}}
admin: {listen: ""}
hls: {segment_duration: 6s}
storage: {url: "s3://bucket/archive", region: eu-central-1, access_key: AKIDEXAMPLE, secret_key: hush-hush-3}
`
	for format, wants := range map[string][]string{
		"cloudformation": {"HTTPPort: 5081", "DefaultTTL: 3\n", `OriginPath: "/archive/live"`, "HeaderValue: !Ref OriginSecret"},
		"terraform":      {"http_port              = 5081", "default_ttl = 3\n", `origin_path              = "/archive/live"`, "value = var.origin_secret"},
	} {
		status, out, errs := printCloudFront(t, config, "-format", format, "-domain", "origin.example.com")
		if status != 0 || errs != "" {
			t.Fatalf("%s: %d: %s", format, status, errs)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q", format, want)
			}
		}
		for _, secret := range []string{"hush-hush", "AKIDEXAMPLE"} {
			if strings.Contains(out, secret) {
				t.Errorf("%s: prints a secret", format)
			}
		}
	}
}

func TestCloudFrontRefuses(t *testing.T) {
	for _, c := range []struct {
		config string
		args   []string
		status int
		want   string
	}{
		{"", []string{"-format", "json"}, 2, `"json" is neither cloudformation nor terraform`},
		{"", []string{"-app", "sport"}, 2, `there is no "sport", only live`},
		{"", []string{"extra"}, 2, `"extra" was not expected`},
		{"", []string{"-shield"}, 2, "-shield"},
		{"apps: {a: {}, b: {}}", nil, 2, "which of a, b?"},
		{"", []string{"-domain", "192.0.2.7"}, 1, "takes no address"},
		{`http: {listen: ":0"}`, nil, 1, "http.listen: \":0\" has another port"},
		{`http: {listen: ":81"}`, nil, 1, "not to 81"},
		{`http: {listen: ""}`, nil, 1, "no public listener"},
		{`http: {idle_timeout: 4s}`, nil, 1, "idle time-out"},
		{`storage: {url: "s3://bucket", sse: aws:kms}`, nil, 1, "storage.sse_kms_key_id"},
		{`storage: {url: "s3://bucket/a*b"}`, nil, 1, "bucket prefix"},
		{"nonsense: 1", nil, 1, "nonsense"},
	} {
		status, out, errs := printCloudFront(t, c.config, c.args...)
		if status != c.status || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%s %q: %d, %q, and %d bytes of output; not %d, %q", c.config, c.args, status, errs, len(out), c.status, c.want)
		}
	}
	if status, out, _ := printCloudFront(t, "", "-h"); status != 0 || out != cloudfrontHelp {
		t.Errorf("-h: %d: %s", status, out)
	}
}

// TestCloudFrontSigned: a public key from a file gets into either print; a file that is none, or a private key, prints nothing.
func TestCloudFrontSigned(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad := write("public.pem", "PUBLIC KEY", public), write("private.pem", "PRIVATE KEY", private)
	const named = `http: {cdn_secret: {values: [a]}, cors_origins: ["https://example.com"]}
storage: {url: ""}`
	for format, want := range map[string]string{"cloudformation": "TrustedKeyGroups: [!Ref Signers]", "terraform": "= [aws_cloudfront_key_group.signers.id]"} {
		status, out, errs := printCloudFront(t, named, "-format", format, "-domain", "origin.example.com", "-public-key", good)
		if n := strings.Count(out, want); status != 0 || n != 6 || strings.Contains(errs, "cookies") {
			t.Errorf("%s: %d, %q: %d behaviors ask for a signature, not 6", format, status, errs, n)
		}
	}
	status, out, errs := printCloudFront(t, "storage: {url: \"\"}", "-key-group", "b79a7a1c")
	if status != 0 || strings.Count(out, `TrustedKeyGroups: ["b79a7a1c"]`) != 6 || !strings.Contains(errs, "http.cors_origins") {
		t.Errorf("a group that exists: %d, %q", status, errs)
	}
	for path, want := range map[string]string{bad: "it is a private key", filepath.Join(dir, "none"): "no such file", dir: "a directory"} {
		status, out, errs := printCloudFront(t, named, "-public-key", path)
		if status != 1 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: %d, %q, %d bytes printed", path, status, errs, len(out))
		}
	}
}

func TestExpireDays(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		keep, split time.Duration
		want        int
	}{
		{0, day, 0}, {30 * day, 0, 0}, {30 * day, day, 32}, {time.Hour, time.Minute, 2}, {day, day, 3}, {36 * time.Hour, day, 4},
	} {
		if got := expireDays(c.keep, c.split); got != c.want {
			t.Errorf("keep %s, split %s: %d days, not %d", c.keep, c.split, got, c.want)
		}
	}
}

// shelf is an archive with one finished recording.
type shelf struct{}

const (
	shelfRecording = "2026-01-02_03-04-05.678"
	shelfPlaylist  = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:4.000,\n" +
		"cam/" + shelfRecording + "/000000000.ts\n#EXT-X-ENDLIST\n"
)

type shelved struct{ *strings.Reader }

func (shelved) Close() error { return nil }

func (shelf) Open(_ context.Context, key string) (origin.Object, error) {
	body := ""
	switch key {
	case "live/streams/cam/" + shelfRecording + "/000000000.ts":
		body = "a segment"
	case "live/streams/cam-" + shelfRecording + ".m3u8":
		body = shelfPlaylist
	default:
		return origin.Object{}, fs.ErrNotExist
	}
	return origin.Object{Body: shelved{strings.NewReader(body)}, Size: int64(len(body))}, nil
}

// TestCloudFrontAgreesWithOrigin: the ages in the template are those that the server itself sends.
func TestCloudFrontAgreesWithOrigin(t *testing.T) {
	status, out, errs := printCloudFront(t, `http: {cdn_secret: {values: [a]}}
storage: {url: ""}`)
	if status != 0 {
		t.Fatal(errs)
	}
	registry := segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": {}}})
	o := origin.New(origin.Options{Streams: registry, Archive: shelf{}, Now: time.Now})
	for _, c := range []struct {
		method, path, field, value, printed string
		status                              int
	}{
		{"GET", "/live/streams/none.m3u8", "Cache-Control", "max-age=3", "- ErrorCode: 404 # a stream that has not begun: its viewers see the start within 3 s\n            ErrorCachingMinTTL: 3\n", 404},
		{"GET", "/live/streams/cam/" + shelfRecording + "/000000000.ts", "Cache-Control", "public, max-age=31536000, immutable", "MaxTTL: 31536000\n", 200},
		{"GET", "/live/streams/cam-" + shelfRecording + ".m3u8", "Cache-Control", "public, max-age=3600", "MaxTTL: 3600\n", 200},
		{"GET", "/live/streams/none.m3u8", "Access-Control-Expose-Headers", "Content-Length, Content-Range, Date, Age, ETag",
			`Items: ["Content-Length", "Content-Range", "Date", "Age", "ETag"]`, 404},
		{"OPTIONS", "/live/streams/none.m3u8", "Access-Control-Max-Age", "86400", "AccessControlMaxAgeSec: 86400\n", 204},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Origin", "https://example.com")
		o.ServeHTTP(w, r)
		if got := w.Header().Get(c.field); w.Code != c.status || got != c.value {
			t.Errorf("%s %s: %d, %s: %q; not %d, %q", c.method, c.path, w.Code, c.field, got, c.status, c.value)
		}
		if !strings.Contains(out, c.printed) {
			t.Errorf("the template has no %q", c.printed)
		}
	}
	if origin := http.CanonicalHeaderKey(configs.Default().HTTP.CDNSecret.Header); !strings.Contains(out, `HeaderName: "`+origin+`"`) {
		t.Error("the template sends another header than the server asks for")
	}
}
