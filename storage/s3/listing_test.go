package s3

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// FuzzListing feeds the reader of listings whatever a store, or what answers in its place, may send: only requested keys come out, in
// order, each once, with possible sizes.
func FuzzListing(f *testing.F) {
	page := func(in string) string { return "<ListBucketResult><Name>b</Name>" + in + "</ListBucketResult>" }
	for _, seed := range []string{
		page("<IsTruncated>false</IsTruncated><Contents><Key>p/a/b</Key><Size>1</Size><ETag>&quot;x&quot;</ETag></Contents><CommonPrefixes><Prefix>p/a/c/</Prefix></CommonPrefixes>"),
		page("<Contents><Key>p/a/z</Key><Size>18446744073709551615</Size></Contents><Contents><Key>p/a/b</Key><Size>-1</Size></Contents>"),
		page("<Contents><Key>p/a/b</Key><Size>-1</Size></Contents>"),
		page("<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"),
		page("<EncodingType>url</EncodingType><Contents><Key>p%2Fa%2F..%2F..%2Fx%00</Key><Size>4294967296</Size></Contents>"),
		page("<Contents><Key>p/a/&#x1b;[2J</Key></Contents><Contents/>"),
		"<Error><Code>NoSuchBucket</Code></Error>", "<html>", "", strings.Repeat("<a>", 10000),
	} {
		f.Add([]byte(seed))
	}
	var body atomic.Pointer[[]byte]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		_, _ = w.Write(*body.Load()) // the reader may have gone
	}))
	f.Cleanup(srv.Close)
	s, err := Open(f.Context(), Options{Bucket: "b", Prefix: "p", Endpoint: srv.URL, Region: "r", PathStyle: true, AccessKey: "a", SecretKey: "b", Now: time.Now})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		body.Store(&p)
		for _, list := range []func(string, func(storage.Object) error) error{
			func(prefix string, fn func(storage.Object) error) error { return s.List(t.Context(), prefix, fn) },
			func(prefix string, fn func(storage.Object) error) error { return s.Browse(t.Context(), prefix, fn) },
		} {
			last := ""
			err := list("a/", func(o storage.Object) error {
				if !strings.HasPrefix(o.Key, "a/") || o.Size < 0 || last != "" && o.Key < last {
					t.Fatalf("%q of %d bytes, behind %q", o.Key, o.Size, last)
				}
				last = o.Key
				return nil
			})
			if err != nil && len(err.Error()) > 64<<10 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
		}
	})
}
