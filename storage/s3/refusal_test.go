package s3

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func conditional(r *http.Request) bool { return r.Header.Get("If-None-Match") != "" }

// Stores without conditions report that in several ways. A refusal for another reason is not mistaken for it.
func TestStoresWithoutConditions(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		lacks  bool
	}{
		{501, "NotImplemented", true}, {400, "InvalidArgument", true}, {400, "InvalidRequest", true}, {400, "NotImplemented", true}, {400, "UnsupportedHeader", true},
		{400, "RequestTimeout", false}, {400, "BadDigest", false}, {400, "IncompleteBody", false}, {500, "InternalError", false}, {503, "SlowDown", false}, {403, "AccessDenied", false},
	} {
		s, p := behind(t, storetest.GoFakeS3(t))
		p.Set(storetest.Trouble{Status: c.status, Code: c.code, Match: conditional})
		put := func(key, body string) error {
			return failure(s.Put(t.Context(), key, strings.NewReader(body), storage.Attributes{IfAbsent: true}))
		}
		err := put("a", "body")
		if (err == nil) != c.lacks || s.noCondition.Load() != c.lacks {
			t.Errorf("%d %s: %v, taken for a store without conditions: %v", c.status, c.code, err, s.noCondition.Load())
		}
		if !c.lacks {
			continue
		}
		_, before := p.Counts()
		if err := put("a", "body"); err != nil {
			t.Errorf("%d %s: the same again: %v", c.status, c.code, err)
		}
		if err := put("a", "other"); !errors.Is(err, storage.ErrExists) {
			t.Errorf("%d %s: another body: %v", c.status, c.code, err)
		}
		if _, after := p.Counts(); after != before {
			t.Errorf("%d %s: asked for a condition again", c.status, c.code)
		}
	}
}

// A store that refuses the object with and without the condition does support conditions.
func TestRefusedWithAndWithoutCondition(t *testing.T) {
	s, p := behind(t, storetest.GoFakeS3(t))
	p.Set(storetest.Trouble{Status: 400, Code: "InvalidRequest", Match: storetest.Method(http.MethodPut)})
	_, err := s.Put(t.Context(), "a", strings.NewReader("x"), storage.Attributes{IfAbsent: true})
	if !errors.Is(err, storage.ErrPermanent) || s.noCondition.Load() {
		t.Errorf("%v", err)
	}
	if !strings.Contains(err.Error(), "storage.checksum") {
		t.Errorf("a bucket with Object Lock: %v", err)
	}
}

// Errors that an operator can fix name the setting.
func TestRefusalsNameTheSetting(t *testing.T) {
	put := func(s *Store) error {
		return failure(s.Put(t.Context(), "a", strings.NewReader("x"), storage.Attributes{}))
	}
	get := func(s *Store) error { _, _, err := s.Get(t.Context(), "a", 0, -1); return err }
	list := func(s *Store) error { return s.List(t.Context(), "", func(storage.Object) error { return nil }) }
	for name, c := range map[string]struct {
		trouble storetest.Trouble
		act     func(*Store) error
		say     string
	}{
		"404 to PUT":          {storetest.Trouble{Status: 404, Code: "NoSuchKey"}, put, "correct storage.endpoint, storage.path_style or storage.url"},
		"404 to PUT, bare":    {storetest.Trouble{Status: 404, Page: " "}, put, "correct storage.endpoint"},
		"404 without a code":  {storetest.Trouble{Status: 404, Page: "nothing here", Header: map[string]string{"Content-Type": "text/plain"}}, get, "correct storage.endpoint"},
		"404 to LIST":         {storetest.Trouble{Status: 404, Code: "NoSuchKey"}, list, "cannot be listed"},
		"413":                 {storetest.Trouble{Status: 413, Page: webPage, Header: map[string]string{"Content-Type": "text/html"}}, put, "client_max_body_size"},
		"413 with a code":     {storetest.Trouble{Status: 400, Code: "EntityTooLarge"}, put, "an object of 1 bytes is too large"},
		"object lock":         {storetest.Trouble{Status: 400, Code: "MissingContentMD5"}, put, "set storage.checksum to crc32c or md5"},
		"expired":             {storetest.Trouble{Status: 400, Code: "ExpiredToken"}, put, "renew them"},
		"another region":      {storetest.Trouble{Status: 301, Code: "PermanentRedirect", Header: map[string]string{"X-Amz-Bucket-Region": "eu-west-1"}}, put, "correct storage.region"},
		"another region, GET": {storetest.Trouble{Status: 307, Code: "TemporaryRedirect", Header: map[string]string{"X-Amz-Bucket-Region": "eu-west-1", "Location": "http://127.0.0.1:1/"}}, get, "it lives in eu-west-1"},
		"moved":               {storetest.Trouble{Status: 302, Page: webPage, Header: map[string]string{"Location": "https://portal.example.com/"}}, get, "look for a portal"},
	} {
		s, p := behind(t, storetest.GoFakeS3(t))
		p.Set(c.trouble)
		if err := c.act(s); !errors.Is(err, storage.ErrPermanent) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A versioned bucket is logged once.
func TestVersionedBucket(t *testing.T) {
	for id, lines := range map[string]int{"": 0, "null": 0, "v1": 1} {
		var log strings.Builder
		p := storetest.NewProxy(t, storetest.GoFakeS3(t).Endpoint)
		p.Set(storetest.Trouble{Header: map[string]string{"X-Amz-Version-Id": id}})
		o := options(t, storetest.Server{Endpoint: p.URL, AccessKey: "k", SecretKey: "s", Bucket: "bucket"})
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		s := open(t, o)
		for range 3 {
			if _, err := s.Put(t.Context(), "a", strings.NewReader("x"), storage.Attributes{}); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Count(log.String(), "docs/bucket.md"); got != lines {
			t.Errorf("version %q: %d lines: %s", id, got, log.String())
		}
	}
}

// listing serves pages of keys; the page number is the token.
func listing(t *testing.T, pages ...[]string) *Store {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("continuation-token"), &n)
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(w, `<?xml version="1.0"?><ListBucketResult>`)
		for _, key := range pages[n] {
			fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>1</Size></Contents>", key)
		}
		if n+1 < len(pages) {
			fmt.Fprintf(w, "<NextContinuationToken>%d</NextContinuationToken>", n+1)
		}
		fmt.Fprintf(w, "<IsTruncated>%v</IsTruncated></ListBucketResult>", n+1 < len(pages))
	}))
	t.Cleanup(srv.Close)
	return open(t, options(t, storetest.Server{Endpoint: srv.URL, AccessKey: "k", SecretKey: "s", Bucket: "b"}))
}

// A listing needs no order, neither within pages nor between them: every key is reported, once.
func TestListingWithoutOrder(t *testing.T) {
	want := []string{"a", "b", "c", "d", "e", "f"}
	for name, c := range map[string]struct {
		pages  [][]string
		sorted bool // the result can be in order
	}{
		"in order":          {[][]string{{"a", "b"}, {"c", "d"}, {"e", "f"}}, true},
		"within a page":     {[][]string{{"b", "a"}, {"d", "c"}, {"f", "e"}}, true},
		"all over":          {[][]string{{"f", "a"}, {"b", "d"}, {"c", "e"}}, true},
		"backwards":         {[][]string{{"f", "e", "d"}, {"c", "b", "a"}}, true},
		"from page to page": {[][]string{{"e", "f"}, {"a", "b"}, {"c", "d"}}, false},
		"the last page":     {[][]string{{"b", "c"}, {"d", "e", "f"}, {"a"}}, false},
		"one twice":         {[][]string{{"b", "a"}, {"c", "b"}, {"d", "e", "f"}}, true},
	} {
		got := storetest.Keys(t, listing(t, c.pages...), "")
		if c.sorted && !slices.IsSorted(got) {
			t.Errorf("%s: %q is not in order", name, got)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Waiting for an answer is bounded like a transfer.
func TestNoAnswer(t *testing.T) {
	p := storetest.NewProxy(t, storetest.GoFakeS3(t).Endpoint)
	p.Set(storetest.Trouble{Hang: true})
	o := options(t, storetest.Server{Endpoint: p.URL, AccessKey: "k", SecretKey: "s", Bucket: "bucket"})
	o.StallTimeout = 150 * time.Millisecond
	s := open(t, o)
	begin := time.Now()
	_, err := s.Put(t.Context(), "a", strings.NewReader("x"), storage.Attributes{})
	if !errors.Is(err, errStalled) || storage.KindOf(err) != storage.Transient || time.Since(begin) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
	if _, err := s.Stat(t.Context(), "a"); !errors.Is(err, errStalled) {
		t.Errorf("%v", err)
	}
}
