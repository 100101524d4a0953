package s3

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// replaces matches a Put with If-Match.
func replaces(r *http.Request) bool {
	return r.Method == http.MethodPut && r.Header.Get("If-Match") != ""
}

// The repetition of a replacement whose answer was lost is told from another writer, and what a store answers to one from success.
func TestSwapsThatFail(t *testing.T) {
	p := storetest.NewProxy(t, storetest.Versitygw(t).Endpoint)
	s := open(t, options(t, storetest.Server{Endpoint: p.URL, AccessKey: "storetest", SecretKey: "storetest-secret", Bucket: "bucket"}))
	first, err := s.Put(t.Context(), "a.m3u8", strings.NewReader("first"), storage.Attributes{})
	if err != nil {
		t.Fatal(err)
	}
	swap := func(body string) error {
		return failure(s.Put(t.Context(), "a.m3u8", strings.NewReader(body), storage.Attributes{IfMatch: first}))
	}
	for _, c := range []struct {
		name    string
		trouble storetest.Trouble
		want    storage.FailureKind
	}{
		{"two at once", storetest.Trouble{Status: 409, Code: "ConditionalRequestConflict"}, storage.Transient},
		{"another was first", storetest.Trouble{Status: 412, Code: "PreconditionFailed"}, storage.Changed},
		{"there is none", storetest.Trouble{Status: 404, Code: "NoSuchKey"}, storage.Changed},
		{"there is no bucket", storetest.Trouble{Status: 404, Code: "NoSuchBucket"}, storage.Permanent},
		{"denied", storetest.Trouble{Status: 403}, storage.Permanent},
		{"broken", storetest.Trouble{Status: 500}, storage.Transient},
	} {
		c.trouble.Match = replaces
		p.Set(c.trouble)
		if err := swap("second"); storage.KindOf(err) != c.want {
			t.Errorf("%s: %s, want %s: %v", c.name, storage.KindOf(err), c.want, err)
		}
		p.Set()
	}
	p.Set(storetest.Trouble{LoseResponse: true, Match: replaces})
	if err := swap("second"); err != nil && storage.KindOf(err) != storage.Transient { // the head of the answer may get through
		t.Errorf("lost: %v", err)
	}
	p.Set()
	// That one had been carried out.
	if err := swap("second"); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := swap("third"); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("something else: %v", err)
	}
	if got := storetest.Read(t, s, "a.m3u8", 0, -1); string(got) != "second" {
		t.Errorf("%q", got)
	}
}

// An answer without an ETag is believed only if what is there is what was sent.
func TestSwapWithoutETag(t *testing.T) {
	p := storetest.NewProxy(t, storetest.Versitygw(t).Endpoint)
	s := open(t, options(t, storetest.Server{Endpoint: p.URL, AccessKey: "storetest", SecretKey: "storetest-secret", Bucket: "bucket"}))
	first, err := s.Put(t.Context(), "a.m3u8", strings.NewReader("first"), storage.Attributes{})
	if err != nil {
		t.Fatal(err)
	}
	p.Set(storetest.Trouble{Header: map[string]string{"Etag": ""}, Match: replaces})
	second, err := s.Put(t.Context(), "a.m3u8", strings.NewReader("secnd"), storage.Attributes{IfMatch: first})
	if err != nil || second == "" || second == first {
		t.Fatalf("%q, %v", second, err)
	}
	p.Set(storetest.Trouble{Page: "<html>", Header: map[string]string{"X-Amz-Request-Id": "1"}, Match: replaces}) // it is not carried out
	if got, err := s.Put(t.Context(), "a.m3u8", strings.NewReader("third"), storage.Attributes{IfMatch: second}); err == nil {
		t.Errorf("it is said to be stored, as %q", got)
	}
}

// A store that refuses the header is written to without it, and asked once.
func TestSwapWithoutConditions(t *testing.T) {
	p := storetest.NewProxy(t, storetest.Versitygw(t).Endpoint)
	p.Set(storetest.Trouble{Status: http.StatusNotImplemented, Match: replaces})
	s := open(t, options(t, storetest.Server{Endpoint: p.URL, AccessKey: "storetest", SecretKey: "storetest-secret", Bucket: "bucket"}))
	for _, body := range []string{"first", "second"} {
		if _, err := s.Put(t.Context(), "a.m3u8", strings.NewReader(body), storage.Attributes{IfMatch: "d41d8cd98f00b204e9800998ecf8427e"}); err != nil {
			t.Fatal(err)
		}
		if got := storetest.Read(t, s, "a.m3u8", 0, -1); string(got) != body {
			t.Errorf("%q", got)
		}
	}
	if _, n := p.Counts(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
