package s3

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// kept keeps the last request, and answers it.
type kept struct {
	req    *http.Request
	status int
	body   string
}

func (k *kept) Do(req *http.Request) (*http.Response, error) {
	k.req = req
	h := http.Header{"Etag": {`"1"`}, "X-Amz-Version-Id": {"7"}, "X-Amz-Request-Id": {"id"}}
	return &http.Response{StatusCode: k.status, Header: h, Body: io.NopCloser(strings.NewReader(k.body)), ContentLength: int64(len(k.body)), Request: req}, nil
}

// Our requests are those that the SDK would make, wherever the bucket is and whatever the key.
func TestDirectIsTheSDKs(t *testing.T) {
	for name, change := range map[string]func(testing.TB, *Options){
		"amazon":                func(_ testing.TB, o *Options) {},
		"amazon, path":          func(_ testing.TB, o *Options) { o.PathStyle = true },
		"amazon, name with dot": func(_ testing.TB, o *Options) { o.Bucket = "a.b.example" },
		"china":                 func(_ testing.TB, o *Options) { o.Region = "cn-north-1" },
		"fips and dual stack": func(t testing.TB, _ *Options) {
			t.Setenv("AWS_USE_FIPS_ENDPOINT", "true")
			t.Setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
		},
		"access point": func(_ testing.TB, o *Options) { o.Bucket = "arn:aws:s3:eu-central-1:123456789012:accesspoint:mine" },
		"http":         func(_ testing.TB, o *Options) { o.Endpoint, o.PathStyle = "http://store.example:9000", true },
		"with a path":  func(_ testing.TB, o *Options) { o.Endpoint, o.PathStyle = "https://example.com/s3/v1/", true },
		"host name":    func(_ testing.TB, o *Options) { o.Endpoint = "https://store.example:443" },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, storetest.Server{Bucket: "bucket", AccessKey: "k", SecretKey: "s"})
			o.PathStyle, o.Region, o.SessionToken = false, "eu-central-1", "token"
			o.Now = func() time.Time { return time.Unix(1_700_000_000, 0) }
			change(t, &o)
			s := open(t, o)
			if s.direct == nil {
				t.Fatal("left to the SDK")
			}
			for _, key := range []string{"live/streams/cam/000000001.ts", "a b+c/ü%20&=~!'()*:@,$[].m3u8", "/a//b"} {
				in := &s3.PutObjectInput{
					Bucket: &s.o.Bucket, Key: &key, ContentLength: aws.Int64(4), ContentType: aws.String("video/mp2t"), CacheControl: aws.String("max-age=1"),
					ContentEncoding: aws.String("gzip"), IfNoneMatch: aws.String("*"), ContentMD5: aws.String("bWQ1"), ChecksumCRC32C: aws.String("Y3Jj"),
					ChecksumCRC32: aws.String("Y3Jj"), ACL: "private", StorageClass: "STANDARD_IA", ServerSideEncryption: "aws:kms", SSEKMSKeyId: aws.String("key"),
					Tagging: aws.String("a=b"),
				}
				ours, theirs := &kept{status: 200}, &kept{status: 200}
				s.direct.client = ours
				out, err := s.direct.put(t.Context(), in, strings.NewReader("body"), 4)
				if err != nil || aws.ToString(out.ETag) != `"1"` || aws.ToString(out.VersionId) != "7" {
					t.Fatal(out, err)
				}
				in.Body = strings.NewReader("body")
				if _, err := s.client.PutObject(t.Context(), in, func(o *s3.Options) { o.HTTPClient = theirs }); err != nil {
					t.Fatal(err)
				}
				if got, want := ours.req.URL.String(), strings.ReplaceAll(theirs.req.URL.String(), "?x-id=PutObject", ""); got != want {
					t.Errorf("%q, the SDK %q", got, want)
				}
				host := theirs.req.Host
				if host == "" {
					host = theirs.req.URL.Host
				}
				if ours.req.Host != host || ours.req.ContentLength != theirs.req.ContentLength {
					t.Errorf("%q, %d bytes; the SDK %q, %d", ours.req.Host, ours.req.ContentLength, host, theirs.req.ContentLength)
				}
				for name := range theirs.req.Header {
					got, want := ours.req.Header.Get(name), theirs.req.Header.Get(name)
					switch {
					case strings.HasPrefix(name, "Amz-Sdk-"), name == "User-Agent", name == "Accept-Encoding", name == "X-Amz-Sdk-Checksum-Algorithm":
						continue
					case name == "Authorization": // theirs signs Amz-Sdk-*, too
						got, _, _ = strings.Cut(got, ", SignedHeaders")
						want, _, _ = strings.Cut(want, ", SignedHeaders")
					}
					if got != want {
						t.Errorf("%s: %q, the SDK %q", name, got, want)
					}
				}
			}
		})
	}
}

// Buckets with other signatures are left to the SDK.
func TestNotDirect(t *testing.T) {
	for _, bucket := range []string{"media--use1-az4--x-s3", "arn:aws:s3::123456789012:accesspoint:mine.mrap"} {
		o := options(t, storetest.Server{Bucket: bucket, AccessKey: "k", SecretKey: "s"})
		o.PathStyle, o.Region = false, "us-east-1"
		if open(t, o).direct != nil {
			t.Errorf("%s is put to by an ordinary signature", bucket)
		}
	}
}

// Refusals are reported as by the SDK.
func TestDirectIsRefused(t *testing.T) {
	s := open(t, options(t, storetest.Server{Bucket: "b", Endpoint: "http://127.0.0.1:1", AccessKey: "k", SecretKey: "s"}))
	for _, c := range []struct {
		body string
		code string
	}{
		{"", "UnknownError"},
		{"<html>no</html>", ""},
		{"no", ""},
		{`<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>slower</Message><RequestId>r</RequestId></Error>`, "SlowDown"},
		{`<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>AccessDenied</Code></Error>`, "AccessDenied"},
		{strings.Repeat(" ", 2*maxErrorDocument) + `<Error><Code>AccessDenied</Code></Error>`, ""},
	} {
		s.direct.client = &kept{status: 403, body: c.body}
		_, err := s.direct.put(t.Context(), &s3.PutObjectInput{Key: aws.String("a")}, strings.NewReader(""), 0)
		var request interface{ ServiceRequestID() string }
		if statusOf(err) != 403 || codeOf(err) != c.code || !errors.As(err, &request) || request.ServiceRequestID() != "id" {
			t.Errorf("%.40q: status %d, code %q: %v", c.body, statusOf(err), codeOf(err), err)
		}
	}
}
