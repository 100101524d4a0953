package stub

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bucket is an S3 server for any buckets: it reads what is put, remembers its length, and drops the bytes. It checks no signature. The zero
// value is ready to use.
type Bucket struct {
	Puts, Bytes atomic.Int64

	objects sync.Map // path: object
	buffers sync.Pool
}

type object struct {
	size int64
	at   time.Time
}

type listing struct {
	XMLName     xml.Name `xml:"ListBucketResult"`
	KeyCount    int
	MaxKeys     int
	IsTruncated bool
}

// etag is the same for all objects, that of the empty one: nobody reads anything back here.
const etag = `"d41d8cd98f00b204e9800998ecf8427e"`

// ServeHTTP answers PUT, HEAD, DELETE, and listings, which are always empty.
func (b *Bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "stub")
	switch r.Method {
	case http.MethodPut:
		buffer, _ := b.buffers.Get().(*[]byte)
		if buffer == nil {
			s := make([]byte, 256<<10)
			buffer = &s
		}
		n, err := io.CopyBuffer(discard{}, r.Body, *buffer)
		b.buffers.Put(buffer)
		if err != nil {
			return
		}
		b.Puts.Add(1)
		b.Bytes.Add(n)
		b.objects.Store(r.URL.Path, object{n, time.Now()})
		w.Header().Set("ETag", etag)
		w.WriteHeader(http.StatusOK)
	case http.MethodHead:
		v, ok := b.objects.Load(r.URL.Path)
		if o, _ := v.(object); ok {
			w.Header().Set("ETag", etag)
			w.Header().Set("Content-Length", strconv.FormatInt(o.size, 10))
			w.Header().Set("Last-Modified", o.at.UTC().Format(http.TimeFormat))
			return
		}
		if strings.Count(strings.TrimSuffix(r.URL.Path, "/"), "/") == 1 {
			return // the bucket itself
		}
		w.WriteHeader(http.StatusNotFound)
	case http.MethodGet:
		w.Header().Set("Content-Type", "application/xml")
		if r.URL.Query().Get("list-type") != "" {
			out, _ := xml.Marshal(listing{MaxKeys: 1000})
			_, _ = w.Write(out)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code><Message>not here</Message></Error>")
	case http.MethodDelete:
		b.objects.Delete(r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPost: // batch delete
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, "<DeleteResult></DeleteResult>")
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// discard has no ReadFrom, so that io.CopyBuffer uses the buffer.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
