package configs

import "testing"

func TestLocation(t *testing.T) {
	for url, want := range map[string]Location{
		"": {}, "file://data/bucket": {Dir: "data/bucket"}, "file:///srv/b": {Dir: "/srv/b"}, "s3://b": {Bucket: "b"}, "s3://b/": {Bucket: "b"},
		"s3://b/p/q": {Bucket: "b", Prefix: "p/q/"}, "s3://b/p/": {Bucket: "b", Prefix: "p/"},
	} {
		if got, err := (Bucket{URL: url}).Location(); err != nil || got != want {
			t.Errorf("%q: %+v, %v", url, got, err)
		}
	}
	for _, url := range []string{"data/bucket", "file://", "s3://", "s3:///p", "S3://b", "s3://b/../c", "s3://b//p//q", "s3://b?x", "s3://k:s@b", "http://x"} {
		if got, err := (Bucket{URL: url}).Location(); err == nil {
			t.Errorf("%q is accepted as %+v", url, got)
		}
	}
}
