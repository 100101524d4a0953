package s3

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

const webPage = "<!DOCTYPE html>\n<html><head><title>Login</title></head><body>Please log in.</body></html>\n"

// behind opens a store behind a proxy that causes trouble.
func behind(t testing.TB, srv storetest.Server) (*Store, *storetest.Proxy) {
	p := storetest.NewProxy(t, srv.Endpoint)
	o := options(t, srv)
	o.Endpoint, o.StallTimeout = p.URL, 2*time.Second
	return open(t, o), p
}

// everyAct performs one of each operation on an existing and on a missing object, and returns which succeeded.
func everyAct(t *testing.T, s *Store) (fine []string) {
	note := func(act string, err error) {
		if err == nil {
			fine = append(fine, act)
		}
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: taken for absence: %v", act, err)
		}
	}
	note("put", failure(s.Put(t.Context(), "new", strings.NewReader("body"), storage.Attributes{})))
	note("put if absent", failure(s.Put(t.Context(), "new", strings.NewReader("body"), storage.Attributes{IfAbsent: true})))
	for _, key := range []string{"there", "none"} {
		for _, r := range [][2]int64{{0, -1}, {0, 0}, {2, 2}, {5000, -1}} {
			body, _, err := s.Get(t.Context(), key, r[0], r[1])
			if err == nil {
				_, err = io.Copy(io.Discard, body)
				body.Close()
			}
			note("get "+key, err)
		}
		_, err := s.Stat(t.Context(), key)
		note("stat "+key, err)
	}
	note("list", s.List(t.Context(), "", func(storage.Object) error { return nil }))
	note("browse", s.Browse(t.Context(), "", func(storage.Object) error { return nil }))
	note("remove", s.Remove(t.Context(), "there"))
	note("remove two", s.Remove(t.Context(), "there", "none"))
	return fine
}

// Whatever answers in place of the store, nothing is taken for success, and nothing for absence.
func TestSomethingElseAnswers(t *testing.T) {
	s, p := behind(t, storetest.GoFakeS3(t))
	if _, err := s.Put(t.Context(), "there", strings.NewReader("body"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	html := map[string]string{"Content-Type": "text/html; charset=utf-8"}
	for name, c := range map[string]storetest.Trouble{
		"a web page":                   {Page: webPage, Header: html},
		"a web page that is not found": {Page: webPage, Header: html, Status: 404},
		"a web page with an ETag":      {Page: webPage, Header: map[string]string{"Content-Type": "text/html", "ETag": `"65f"`}},
		"a page that moved":            {Page: webPage, Header: map[string]string{"Content-Type": "text/html", "Location": "http://127.0.0.1:1/"}, Status: 302},
		"a portal":                     {Page: webPage, Header: map[string]string{"Content-Type": "text/html", "Location": p.URL + "/login"}, Status: 307},
		"a page that is created":       {Page: webPage, Header: html, Status: 201},
		"a page for authentication":    {Page: webPage, Header: html, Status: 511},
		"JSON":                         {Page: `{"error":"login"}`, Header: map[string]string{"Content-Type": "application/json"}},
		"an XML error":                 {Page: "<Error><Code>AccessDenied</Code></Error>", Header: map[string]string{"Content-Type": "application/xml"}},
	} {
		p.Set(c)
		if fine := everyAct(t, s); len(fine) > 0 {
			// An object may have any type, but only one with the headers of a store is believed.
			t.Errorf("%s: taken for success: %q", name, fine)
		}
		p.Set()
		if got := storetest.Keys(t, s, ""); len(got) != 1 || got[0] != "there" {
			t.Fatalf("%s: left %q", name, got)
		}
	}
	p.Set(storetest.Trouble{Page: webPage, Header: html})
	_, err := s.Stat(t.Context(), "there")
	if !errors.Is(err, storage.ErrPermanent) || !strings.Contains(err.Error(), "correct storage.endpoint") {
		t.Errorf("says: %v", err)
	}
}

// TestPutAnsweredByAnEmptyPage: moto gives every answer the type of a web page. With an ETag and without a byte it is none.
func TestPutAnsweredByAnEmptyPage(t *testing.T) {
	s, p := behind(t, storetest.GoFakeS3(t))
	html := map[string]string{"Content-Type": "text/html; charset=utf-8", "X-Amz-Request-Id": "", "X-Amz-Id-2": ""}
	p.Set(storetest.Trouble{Match: storetest.Method(http.MethodPut), Header: html})
	if _, err := s.Put(t.Context(), "a", strings.NewReader("body"), storage.Attributes{}); err != nil {
		t.Errorf("stored, and not believed: %v", err)
	}
	html["ETag"] = ""
	if _, err := s.Put(t.Context(), "b", strings.NewReader("body"), storage.Attributes{}); err == nil {
		t.Error("without an ETag it is believed")
	}
}

// A PUT without an ETag succeeds if HEAD shows the object.
func TestPutWithoutETag(t *testing.T) {
	s, p := behind(t, storetest.GoFakeS3(t))
	noETag := storetest.Trouble{Match: storetest.Method(http.MethodPut), Header: map[string]string{"ETag": ""}}
	p.Set(noETag)
	if _, err := s.Put(t.Context(), "a", strings.NewReader("body"), storage.Attributes{}); err != nil {
		t.Errorf("the object is there: %v", err)
	}
	for name, page := range map[string]storetest.Trouble{
		"200": {Status: 200}, "201": {Status: 201}, "202": {Status: 202}, "204": {Status: 204},
		"200 with text": {Page: "ok", Header: map[string]string{"Content-Type": "text/plain"}},
		"200 with XML":  {Page: "<ok/>"},
	} {
		page.Match, page.Page = storetest.Method(http.MethodPut), page.Page+" "
		p.Set(page)
		if _, err := s.Put(t.Context(), "b", strings.NewReader("body"), storage.Attributes{}); !errors.Is(err, storage.ErrPermanent) {
			t.Errorf("%s, and nothing is there: %v", name, err)
		}
		if _, err := s.Put(t.Context(), "a", strings.NewReader("longer body"), storage.Attributes{}); !errors.Is(err, storage.ErrPermanent) {
			t.Errorf("%s, and the old is there: %v", name, err)
		}
	}
}

// A partial or empty listing is not the end of one.
func TestListingThatIsNone(t *testing.T) {
	s, p := behind(t, storetest.GoFakeS3(t))
	for _, key := range []string{"a/1", "a/2", "b"} {
		if _, err := s.Put(t.Context(), key, strings.NewReader("x"), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	replace := func(old, with string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				t.Errorf("the listing has no %q: %s", old, b)
			}
			return bytes.ReplaceAll(b, []byte(old), []byte(with))
		}
	}
	to := func(with string) func([]byte) []byte { return func([]byte) []byte { return []byte(with) } }
	for name, c := range map[string]storetest.Trouble{
		"nothing":          {Edit: to("")},
		"blanks":           {Edit: to("  \n")},
		"half":             {Edit: func(b []byte) []byte { return b[:len(b)/2] }},
		"nearly all":       {Edit: func(b []byte) []byte { return b[:len(bytes.TrimSpace(b))-1] }},
		"ends early":       {CutAfter: 150},
		"another root":     {Edit: replace("ListBucketResult", "ListAllMyBucketsResult")},
		"a web page":       {Edit: to(webPage)},
		"well-formed HTML": {Edit: to("<html><body/></html>")},
		"text":             {Edit: to("ListBucketResult")},
		"an error":         {Edit: to("<Error><Code>InternalError</Code></Error>")},
		"no token":         {Edit: replace("<IsTruncated>false<", "<IsTruncated>true<")},
		"the same token": {Edit: replace("<IsTruncated>false<", "<NextContinuationToken>t</NextContinuationToken><IsTruncated>true<"), Request: func(r *http.Request) {
			q := r.URL.Query()
			q.Del("continuation-token")
			r.URL.RawQuery = q.Encode()
		}},
		"another prefix":    {Edit: replace("<Key>a/", "<Key>z/")},
		"the folder itself": {Edit: replace("</ListBucketResult>", "<CommonPrefixes><Prefix>a</Prefix></CommonPrefixes></ListBucketResult>")},
		"another folder":    {Edit: replace("</ListBucketResult>", "<CommonPrefixes><Prefix>z/b/</Prefix></CommonPrefixes></ListBucketResult>")},
		"a folder too deep": {Edit: replace("</ListBucketResult>", "<CommonPrefixes><Prefix>a/b/c</Prefix></CommonPrefixes></ListBucketResult>")},
		"says gzip":         {Header: map[string]string{"Content-Encoding": "gzip"}},
		"broken gzip":       {Header: map[string]string{"Content-Encoding": "gzip"}, Edit: func(b []byte) []byte { z := zip(b); return z[:len(z)-9] }},
	} {
		p.Set(c)
		if err := s.List(t.Context(), "a/", func(storage.Object) error { return nil }); err == nil {
			t.Errorf("%s: a listing like any other", name)
		}
		p.Set()
	}
	for name, c := range map[string]storetest.Trouble{
		"gzip of a proxy": {Header: map[string]string{"Content-Encoding": "gzip"}, Edit: zip},
		"chunked":         {Chunked: true},
		"encoded keys": {Edit: func(b []byte) []byte {
			return replace("<IsTruncated>", "<EncodingType>url</EncodingType><IsTruncated>")(replace("<Key>a/", "<Key>a%2F")(b))
		}},
	} {
		p.Set(c)
		if got := storetest.Keys(t, s, "a/"); strings.Join(got, " ") != "a/1 a/2" {
			t.Errorf("%s: %q", name, got)
		}
		p.Set()
	}
}

// TestFoldersOfListings: a folder is one with its slash, without it as rclone names it, and with a name of none.
func TestFoldersOfListings(t *testing.T) {
	s, p := behind(t, storetest.GoFakeS3(t))
	for _, c := range []struct{ prefix, name string }{{"a/", "a/b/"}, {"a/", "a/b"}, {"a/", "a//"}, {"a/b", "a/b/"}, {"a/b", "a/b"}, {"a/b", "a/bc"}, {"a", "a"}} {
		name := c.name
		p.Set(storetest.Trouble{Page: "<ListBucketResult><IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>" + name + "</Prefix></CommonPrefixes></ListBucketResult>",
			Header: map[string]string{"Content-Type": "application/xml"}})
		var got []string
		if err := s.Browse(t.Context(), c.prefix, func(o storage.Object) error { got = append(got, o.Key); return nil }); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := strings.TrimSuffix(name, "/") + "/"; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func zip(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

// An answer without a length is read to its end, and one that breaks off is not an object.
func TestLengthOfAnAnswer(t *testing.T) {
	s, p := behind(t, storetest.GoFakeS3(t))
	body := storetest.Random(1, 100_000)
	for key, b := range map[string][]byte{"a": body, "empty": nil} {
		if _, err := s.Put(t.Context(), key, bytes.NewReader(b), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	get := storetest.Method(http.MethodGet)
	read := func(key string, off, n int64) ([]byte, storage.Object, error) {
		r, o, err := s.Get(t.Context(), key, off, n)
		if err != nil {
			return nil, o, err
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		return b, o, err
	}
	for name, c := range map[string]storetest.Trouble{
		"chunked":                {Chunked: true, Match: get},
		"until the end":          {CutAfter: 1 << 30, Match: get},
		"range without a length": {Chunked: true, Match: get},
		"a wider range": {Match: get, Request: func(r *http.Request) {
			if r.Header.Get("Range") != "" {
				r.Header.Set("Range", "bytes=60000-80000")
			}
		}},
		"ignores ranges":        {Request: func(r *http.Request) { r.Header.Del("Range") }},
		"HEAD without a length": {Chunked: true},
	} {
		p.Set(c)
		if b, o, err := read("a", 0, -1); err != nil || !bytes.Equal(b, body) || o.Size != int64(len(body)) {
			t.Errorf("%s: %d bytes, %+v, %v", name, len(b), o, err)
		}
		if b, o, err := read("a", 70_000, 20); err != nil || !bytes.Equal(b, body[70_000:70_020]) || o.Size != int64(len(body)) {
			t.Errorf("%s: range of %d bytes, %+v, %v", name, len(b), o, err)
		}
		if o, err := s.Stat(t.Context(), "a"); err != nil || o.Size != int64(len(body)) {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	for name, c := range map[string]storetest.Trouble{
		"ends early":         {CutAfter: 50_000, Match: get},
		"ends at once":       {CutAfter: 1, Match: get},
		"reset":              {ResetResponse: 50_000, Match: get},
		"empty":              {Edit: func([]byte) []byte { return nil }, Chunked: true, Match: get},
		"empty, no lengths":  {Edit: func([]byte) []byte { return nil }, Chunked: true},
		"shorter than HEAD":  {Edit: func(b []byte) []byte { return b[:10] }, Chunked: true, Match: get},
		"a range unasked":    {Header: map[string]string{"Content-Range": "bytes 0-9/100000"}, Match: get},
		"XML without a name": {Header: map[string]string{"Content-Type": "application/xml", "ETag": ""}, Match: get},
	} {
		p.Set(c)
		if b, o, err := read("a", 0, -1); err == nil {
			t.Errorf("%s: %d bytes, %+v", name, len(b), o)
		} else if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: taken for absence: %v", name, err)
		}
	}
	for name, c := range map[string]storetest.Trouble{
		"another range":         {Header: map[string]string{"Content-Range": "bytes 0-19/100000"}, Match: get},
		"a longer range":        {Header: map[string]string{"Content-Range": "bytes 70000-70020/100000"}, Match: get},
		"no size":               {Header: map[string]string{"Content-Range": "bytes 70000-70019/*"}, Match: get},
		"nonsense":              {Header: map[string]string{"Content-Range": "bytes"}, Match: get},
		"fewer bytes":           {Edit: func(b []byte) []byte { return b[:5] }, Match: get},
		"fewer without length":  {CutAfter: 5, Match: get},
		"not satisfiable a lie": {Status: 416, Code: "InvalidRange", Match: get},
	} {
		p.Set(c)
		if b, o, err := read("a", 70_000, 20); err == nil {
			t.Errorf("%s: %d bytes, %+v", name, len(b), o)
		}
	}
	p.Set()
	if b, o, err := read("empty", 0, -1); err != nil || len(b) != 0 || o.Size != 0 {
		t.Errorf("an empty object: %d bytes, %+v, %v", len(b), o, err)
	}
}

// A front end that changes Accept-Encoding breaks no signature.
func TestAcceptEncodingIsNotSigned(t *testing.T) {
	s, p := behind(t, storetest.Versitygw(t))
	p.Set(storetest.Trouble{Request: func(r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("%s asks for the encoding %q", r.Method, got)
		}
		r.Header.Set("Accept-Encoding", "identity,gzip(gfe)")
	}})
	if _, err := s.Put(t.Context(), "there", strings.NewReader("body"), storage.Attributes{IfAbsent: true}); err != nil {
		t.Fatal(err)
	}
	if got := storetest.Read(t, s, "there", 0, -1); string(got) != "body" {
		t.Errorf("read %q", got)
	}
	if _, err := s.Stat(t.Context(), "there"); err != nil {
		t.Error(err)
	}
	if got := storetest.Keys(t, s, ""); len(got) != 1 {
		t.Errorf("listed %q", got)
	}
	if err := s.Remove(t.Context(), "there"); err != nil {
		t.Error(err)
	}
	if err := s.Remove(t.Context(), "there", "and another"); err != nil {
		t.Error(err)
	}
}
