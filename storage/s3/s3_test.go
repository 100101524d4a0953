package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// options returns options for a test server, whatever the environment says.
func options(t testing.TB, srv storetest.Server) Options {
	t.Helper()
	for _, name := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return Options{Bucket: srv.Bucket, Endpoint: srv.Endpoint, PathStyle: true, AccessKey: srv.AccessKey, SecretKey: srv.SecretKey}
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// failure is what came of a Put for who does not ask what is stored.
func failure(_ string, err error) error { return err }

func TestConformanceVersitygw(t *testing.T) {
	for _, checksum := range []string{"none", "md5", "crc32", "crc32c"} {
		t.Run(checksum, func(t *testing.T) {
			if checksum != "none" && (testing.Short() || checksum != "crc32c" && !storetest.Full()) {
				t.Skip("the same with a checksum")
			}
			storetest.Run(t, func(t *testing.T) storage.Store {
				o := options(t, storetest.Versitygw(t))
				o.Checksum, o.Prefix = checksum, "/some/prefix/"
				return open(t, o)
			})
		})
	}
}

func TestConformanceGoFakeS3(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storage.Store {
		return &withCacheControl{Store: open(t, options(t, storetest.GoFakeS3(t)))}
	})
}

// withCacheControl adds what gofakes3 loses, and leaves everything else to the store under test.
type withCacheControl struct {
	*Store
	kept sync.Map
}

func (w *withCacheControl) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	etag, err := w.Store.Put(ctx, key, body, a)
	if err == nil {
		w.kept.Store(key, a.CacheControl)
	}
	return etag, err
}

func (w *withCacheControl) Stat(ctx context.Context, key string) (storage.Object, error) {
	o, err := w.Store.Stat(ctx, key)
	return w.complete(o), err
}

func (w *withCacheControl) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	r, o, err := w.Store.Get(ctx, key, off, n)
	return r, w.complete(o), err
}

func (w *withCacheControl) complete(o storage.Object) storage.Object {
	if v, ok := w.kept.Load(o.Key); ok {
		o.CacheControl = v.(string)
	}
	return o
}

// A store without conditions and batches passes too, as far as it can.
func TestConformanceOldStore(t *testing.T) {
	var conditions, batches atomic.Int64
	storetest.Run(t, func(t *testing.T) storage.Store {
		if strings.HasSuffix(t.Name(), "many_at_once") {
			t.Skip("without conditions one of two writers may overwrite the other")
		}
		p := storetest.NewProxy(t, storetest.Versitygw(t).Endpoint)
		p.Set(
			storetest.Trouble{Status: http.StatusNotImplemented, Match: func(r *http.Request) bool {
				hit := r.Method == http.MethodPut && r.Header.Get("If-None-Match") != ""
				if hit {
					conditions.Add(1)
				}
				return hit
			}},
			storetest.Trouble{Status: http.StatusNotImplemented, Match: func(r *http.Request) bool {
				hit := r.Method == http.MethodPost && r.URL.Query().Has("delete")
				if hit {
					batches.Add(1)
				}
				return hit
			}},
		)
		o := options(t, storetest.Server{Endpoint: p.URL, AccessKey: "storetest", SecretKey: "storetest-secret", Bucket: "bucket"})
		conditions.Store(0)
		batches.Store(0)
		t.Cleanup(func() {
			if conditions.Load() > 1 || batches.Load() > 1 {
				t.Errorf("asked %d times for a condition and %d times for a batch", conditions.Load(), batches.Load())
			}
		})
		return open(t, o)
	})
}

func TestOpenRefuses(t *testing.T) {
	base := options(t, storetest.Server{Bucket: "b", Endpoint: "http://127.0.0.1:1"})
	for name, change := range map[string]func(*Options){
		"no bucket":       func(o *Options) { o.Bucket = "" },
		"path as bucket":  func(o *Options) { o.Bucket = "a/b" },
		"endpoint":        func(o *Options) { o.Endpoint = "minio:9000" },
		"checksum":        func(o *Options) { o.Checksum = "sha1" },
		"bucket twice":    func(o *Options) { o.Endpoint += "/b/" },
		"half a key pair": func(o *Options) { o.AccessKey = "k" },
		"no region":       func(o *Options) { o.Endpoint = "" },
	} {
		o := base
		change(&o)
		if _, err := Open(t.Context(), o); !errors.Is(err, storage.ErrPermanent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(t.Context(), base); err != nil {
		t.Errorf("a store that is away fails at Open: %v", err)
	}
}

// recorder keeps the headers of the last PUT.
func recorder(t *testing.T) (storetest.Server, func() http.Header) {
	var mu sync.Mutex
	var last http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		last = r.Header.Clone()
		w.Header().Set("ETag", `"1"`)
	}))
	t.Cleanup(srv.Close)
	return storetest.Server{Endpoint: srv.URL, AccessKey: "k", SecretKey: "s", Bucket: "b"}, func() http.Header {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

func TestPutHeaders(t *testing.T) {
	srv, last := recorder(t)
	o := options(t, srv)
	s := open(t, o)
	a := storage.Attributes{ContentType: "video/mp2t", CacheControl: "public, max-age=31536000, immutable", IfAbsent: true}
	if _, err := s.Put(t.Context(), "a", strings.NewReader("body"), a); err != nil {
		t.Fatal(err)
	}
	h := last()
	for name, want := range map[string]string{
		"Content-Type": "video/mp2t", "Cache-Control": a.CacheControl, "If-None-Match": "*", "Content-Length": "",
		"X-Amz-Acl": "", "X-Amz-Storage-Class": "", "X-Amz-Tagging": "", "X-Amz-Server-Side-Encryption": "",
		"Content-Md5": "", "X-Amz-Checksum-Crc32": "", "X-Amz-Trailer": "", "X-Amz-Sdk-Checksum-Algorithm": "",
		"Content-Encoding": "", "Expect": "",
	} {
		if got := h.Get(name); got != want && name != "Content-Length" {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	o.StorageClass, o.Encryption, o.KMSKey, o.ACL = "STANDARD_IA", "aws:kms", "key-1", "bucket-owner-full-control"
	o.Tags, o.Checksum = map[string]string{"team": "a b", "app": "x"}, "crc32"
	s = open(t, o)
	if _, err := s.Put(t.Context(), "a", strings.NewReader("123456789"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	h = last()
	for name, want := range map[string]string{
		"X-Amz-Acl": "bucket-owner-full-control", "X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Tagging": "app=x&team=a+b",
		"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key-1",
		"X-Amz-Checksum-Crc32": "y/Q5Jg==", "If-None-Match": "", // the check value of CRC-32
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	o.Checksum = "md5"
	if _, err := open(t, o).Put(t.Context(), "a", strings.NewReader("123456789"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	if got := last().Get("Content-Md5"); got != "JfnnlDI7RTiF9RgfG2JNCw==" {
		t.Errorf("Content-MD5 %q", got)
	}
	o.Checksum = "crc32c"
	for _, known := range [][]byte{nil, {0xe3, 0x06, 0x92, 0x83}} { // the check value of CRC-32C
		if _, err := open(t, o).Put(t.Context(), "a", strings.NewReader("123456789"), storage.Attributes{CRC32C: known}); err != nil {
			t.Fatal(err)
		}
		if got := last().Get("X-Amz-Checksum-Crc32c"); got != "4waSgw==" {
			t.Errorf("CRC-32C %q", got)
		}
	}
}

// Over https the payload is not hashed; over http it is, once.
func TestPayloadHash(t *testing.T) {
	srv, last := recorder(t)
	if _, err := open(t, options(t, srv)).Put(t.Context(), "a", strings.NewReader("body"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	if got := last().Get("X-Amz-Content-Sha256"); len(got) != 64 {
		t.Errorf("over http: %q", got)
	}
	var got atomic.Value
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("X-Amz-Content-Sha256") + " " + r.Proto)
		w.Header().Set("ETag", `"1"`)
	}))
	defer secure.Close()
	ca := t.TempDir() + "/ca.pem"
	writePEM(t, ca, secure.Certificate())
	o := options(t, storetest.Server{Endpoint: secure.URL, AccessKey: "k", SecretKey: "s", Bucket: "b"})
	t.Setenv("AWS_CA_BUNDLE", ca)
	if _, err := open(t, o).Put(t.Context(), "a", strings.NewReader("body"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	if got.Load() != "UNSIGNED-PAYLOAD HTTP/1.1" {
		t.Errorf("over https: %q", got.Load())
	}
}

func TestDeniedAndUnknown(t *testing.T) {
	srv := storetest.Versitygw(t)
	put := func(change func(*Options)) error {
		o := options(t, srv)
		change(&o)
		return failure(open(t, o).Put(t.Context(), "a", strings.NewReader("x"), storage.Attributes{IfAbsent: true}))
	}
	for name, c := range map[string]struct {
		change func(*Options)
		say    string
	}{
		"no bucket":  {func(o *Options) { o.Bucket = "other" }, `bucket "other" does not exist at ` + srv.Endpoint + ": create it or correct storage.url"},
		"key":        {func(o *Options) { o.AccessKey = "wrong" }, "correct storage.access_key, AWS_ACCESS_KEY_ID"},
		"secret":     {func(o *Options) { o.SecretKey = "wrong" }, "correct storage.secret_key or AWS_SECRET_ACCESS_KEY"},
		"no secrets": {func(o *Options) { o.AccessKey, o.SecretKey = "", "" }, "set storage.access_key and storage.secret_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
	} {
		err := put(c.change)
		if !errors.Is(err, storage.ErrPermanent) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := options(t, srv)
	o.Bucket = "other"
	if _, _, err := open(t, o).Get(t.Context(), "a", 0, -1); !errors.Is(err, storage.ErrPermanent) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get from no bucket: %v", err)
	}
}

func TestKinds(t *testing.T) {
	srv := storetest.GoFakeS3(t)
	p := storetest.NewProxy(t, srv.Endpoint)
	o := options(t, srv)
	o.Endpoint, o.StallTimeout, o.ResponseTimeout = p.URL, 200*time.Millisecond, 200*time.Millisecond
	s := open(t, o)
	body := bytes.NewReader(storetest.Random(1, 2<<20))
	for _, c := range []struct {
		name    string
		trouble storetest.Trouble
		want    storage.FailureKind
	}{
		{"none", storetest.Trouble{}, storage.None},
		{"slow down", storetest.Trouble{Status: 503}, storage.Throttled},
		{"503 of a load balancer", storetest.Trouble{Status: 503, Code: "x"}, storage.Throttled},
		{"429", storetest.Trouble{Status: 429}, storage.Throttled},
		{"500", storetest.Trouble{Status: 500}, storage.Transient},
		{"502", storetest.Trouble{Status: 502, Code: "x"}, storage.Transient},
		{"403", storetest.Trouble{Status: 403}, storage.Permanent},
		{"skewed", storetest.Trouble{Status: 403, Code: "RequestTimeTooSkewed"}, storage.Permanent},
		{"no bucket", storetest.Trouble{Status: 404, Code: "NoSuchBucket"}, storage.Permanent},
		{"redirect", storetest.Trouble{Status: 301, Code: "PermanentRedirect"}, storage.Permanent},
		{"conflict", storetest.Trouble{Status: 409, Code: "ConditionalRequestConflict"}, storage.Transient},
		{"request timeout", storetest.Trouble{Status: 400, Code: "RequestTimeout"}, storage.Transient},
		{"reset at once", storetest.Trouble{ResetRequest: 1}, storage.Transient},
		{"reset in the body", storetest.Trouble{ResetRequest: 1 << 20}, storage.Transient},
		{"hang", storetest.Trouble{Hang: true}, storage.Transient},
		{"lost", storetest.Trouble{LoseResponse: true}, storage.Transient},
	} {
		p.Set(c.trouble)
		_, err := s.Put(t.Context(), "k/"+c.name, body, storage.Attributes{IfAbsent: true})
		if got := storage.KindOf(err); got != c.want {
			t.Errorf("%s: %s, want %s: %v", c.name, got, c.want, err)
		}
		p.Set()
	}
	// The request whose answer was lost had been carried out. Repeating it succeeds, but only with the same bytes.
	if _, err := s.Put(t.Context(), "k/lost", body, storage.Attributes{IfAbsent: true}); err != nil {
		t.Error(err)
	}
	if _, err := s.Put(t.Context(), "k/lost", strings.NewReader("x"), storage.Attributes{IfAbsent: true}); !errors.Is(err, storage.ErrExists) {
		t.Error(err)
	}
	want := []string{"k/lost", "k/none"}
	if got := storetest.Keys(t, s, ""); !slices.Equal(got, want) {
		t.Errorf("visible: %q, want %q", got, want)
	}
}

func TestStalledUpload(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
		<-release
	}))
	defer srv.Close()
	defer close(release)
	o := options(t, storetest.Server{Endpoint: srv.URL, AccessKey: "k", SecretKey: "s", Bucket: "b"})
	o.StallTimeout, o.ResponseTimeout = 100*time.Millisecond, time.Hour
	for name, body := range map[string]io.ReadSeeker{"read": bytes.NewReader(make([]byte, 64<<20)), "lent": storage.Body([][]byte{make([]byte, 64<<20)})} {
		_, err := open(t, o).Put(t.Context(), "a", body, storage.Attributes{})
		if !errors.Is(err, errStalled) || storage.KindOf(err) != storage.Transient {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A slow uplink is no stall, however long the transfer takes.
func TestSlowUpload(t *testing.T) {
	srv := storetest.GoFakeS3(t)
	p := storetest.NewProxy(t, srv.Endpoint)
	p.Set(storetest.Trouble{BytesPerSecond: 2 << 20})
	o := options(t, srv)
	o.Endpoint, o.StallTimeout, o.ResponseTimeout = p.URL, 400*time.Millisecond, 20*time.Second
	body := storetest.Random(1, 3<<20)
	for name, in := range map[string]io.ReadSeeker{"read": bytes.NewReader(body), "lent": storage.Body([][]byte{body[:1<<20], body[1<<20:]})} {
		start := time.Now()
		if _, err := open(t, o).Put(t.Context(), name, in, storage.Attributes{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := time.Since(start); d < 2*o.StallTimeout {
			t.Errorf("%s: took %v: too fast to show anything", name, d)
		}
		if got := storetest.Read(t, open(t, o), name, 0, -1); !bytes.Equal(got, body) {
			t.Errorf("%s: read back other bytes", name)
		}
	}
	// Nor is one that was fast a moment ago, on a connection that has learned to send a lot at once.
	s := open(t, o)
	p.Set()
	for range 4 {
		if _, err := s.Put(t.Context(), "b", storage.Body([][]byte{body}), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	p.Set(storetest.Trouble{BytesPerSecond: 2 << 20})
	if _, err := s.Put(t.Context(), "b", storage.Body([][]byte{body}), storage.Attributes{}); err != nil {
		t.Errorf("quick, then slow: %v", err)
	}
}

func TestStalledAndBrokenDownload(t *testing.T) {
	srv := storetest.GoFakeS3(t)
	p := storetest.NewProxy(t, srv.Endpoint)
	o := options(t, srv)
	o.Endpoint, o.StallTimeout, o.ResponseTimeout = p.URL, 150*time.Millisecond, 30*time.Second
	s := open(t, o)
	body := storetest.Random(1, 3<<20)
	if _, err := s.Put(t.Context(), "a", bytes.NewReader(body), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	p.Set(storetest.Trouble{ResetResponse: 1 << 20})
	r, _, err := s.Get(t.Context(), "a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.Copy(io.Discard, r); storage.KindOf(err) != storage.Transient {
		t.Errorf("reset: %v", err)
	}
	r.Close()
	p.Set(storetest.Trouble{BytesPerSecond: 1}) // one byte a second
	r, _, err = s.Get(t.Context(), "a", 0, -1)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
		r.Close()
	}
	if !errors.Is(err, errStalled) {
		t.Errorf("stall: %v", err)
	}
	// A slow reader is no stall.
	p.Set()
	r, _, err = s.Get(t.Context(), "a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * o.StallTimeout)
	if rest, err := io.ReadAll(r); err != nil || len(rest) != len(body)-1000 {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
	// With Retry in front, none of it is visible.
	p.Set(storetest.Trouble{ResetResponse: 1 << 20, Times: 3})
	got := storetest.Read(t, storage.Retry(s, storage.RetryOptions{First: time.Millisecond}), "a", 5, -1)
	if !bytes.Equal(got, body[5:]) {
		t.Error("a body taken up again differs")
	}
}

// Once Put has returned, the body is no longer read: its memory may be reused.
func TestBodyIsLeftAlone(t *testing.T) {
	srv := storetest.GoFakeS3(t)
	p := storetest.NewProxy(t, srv.Endpoint)
	o := options(t, srv)
	o.Endpoint = p.URL
	s := open(t, o)
	p.Set(storetest.Trouble{ResetRequest: 100_000}, storetest.Trouble{})
	for range 20 {
		body := &tellingReader{Reader: bytes.NewReader(make([]byte, 4<<20))}
		ctx, cancel := context.WithCancel(t.Context())
		body.hook = func(n int) {
			if n == 20 {
				cancel()
			}
		}
		_, _ = s.Put(ctx, "a", body, storage.Attributes{}) // may fail in several ways
		cancel()
		body.over.Store(true)
	}
}

type tellingReader struct {
	*bytes.Reader
	n    int
	hook func(int)
	over atomic.Bool
}

func (r *tellingReader) Read(p []byte) (int, error) {
	if r.over.Load() {
		panic("read after Put has returned")
	}
	r.n++
	r.hook(r.n)
	return r.Reader.Read(p)
}

func TestRemoveReportsEachKey(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `<DeleteResult><Error><Key>p/a</Key><Code>AccessDenied</Code><Message>no</Message></Error>`+
			`<Error><Key>p/b</Key><Code>NoSuchKey</Code></Error></DeleteResult>`)
	}))
	defer srv.Close()
	o := options(t, storetest.Server{Endpoint: srv.URL, AccessKey: "k", SecretKey: "s", Bucket: "b"})
	o.Prefix = "p"
	err := open(t, o).Remove(t.Context(), "a", "b", "c")
	if !errors.Is(err, storage.ErrPermanent) || !strings.Contains(err.Error(), "remove a") || strings.Contains(err.Error(), "remove b") {
		t.Errorf("%v", err)
	}
}
