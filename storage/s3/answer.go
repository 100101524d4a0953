package s3

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxDocument bounds an XML answer. A page of a thousand keys of maximum length is a little over 1 MB.
const maxDocument = 16 << 20

// foreignError means that the answer did not come from an object store, or not from one that we understand: a web page of a portal, a proxy
// or a console, or half an answer.
type foreignError struct{ found string }

func (e *foreignError) Error() string { return "the answer is no object store's: " + e.found }

func foreign(format string, args ...any) error { return &foreignError{fmt.Sprintf(format, args...)} }

// answers stands between the SDK, which believes any answer with a good status, and the network. It turns an answer that no object store
// gives into a foreignError.
type answers struct{ next aws.HTTPClient }

// Do sends a signed request.
func (a answers) Do(req *http.Request) (*http.Response, error) {
	// Front ends, Google's among them, change this header in transit, so it must not be signed; but without it the transport would request
	// compressed bodies.
	req.Header.Set("Accept-Encoding", "identity")
	res, err := a.next.Do(req)
	if err != nil {
		return nil, err
	}
	if err := check(req, res); err != nil {
		res.Body.Close()
		return nil, err
	}
	return res, nil
}

func check(req *http.Request, res *http.Response) error {
	good := res.StatusCode >= 200 && res.StatusCode <= 299
	if !good && res.StatusCode != http.StatusNotFound {
		return nil // no other status means success, or proves that an object does not exist
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	// moto says that it sends a page, and sends nothing but the ETag.
	nothing := good && req.Method == http.MethodPut && res.ContentLength == 0 && res.Header.Get("ETag") != ""
	if kind == "text/html" && !nothing && !fromStore(res.Header) {
		return foreign("status %d with a web page", res.StatusCode)
	}
	if !good {
		// A router without such a route answers like this, in words for people.
		if (kind == "text/plain" || strings.HasSuffix(kind, "/json")) && res.ContentLength != 0 && !fromStore(res.Header) {
			return foreign("status %d with %s", res.StatusCode, kind)
		}
		return nil
	}
	query := req.URL.Query()
	switch {
	case req.Method == http.MethodGet && query.Has("list-type"):
		return checkDocument(res, "ListBucketResult")
	case req.Method == http.MethodPost && query.Has("delete"):
		return checkDocument(res, "DeleteResult")
	case req.Method == http.MethodDelete && res.StatusCode != http.StatusNoContent && res.ContentLength != 0 && kind != "" && !strings.HasSuffix(kind, "/xml"):
		return foreign("status %d with %d bytes of %q to a deletion", res.StatusCode, res.ContentLength, kind)
	case req.Method == http.MethodGet || req.Method == http.MethodHead:
		// A store gives every object an ETag. None of our objects has one of these types.
		if res.Header.Get("ETag") == "" && (strings.HasSuffix(kind, "/xml") || strings.HasSuffix(kind, "/json") || kind == "text/html") {
			return foreign("status %d with a document of type %s and without an ETag", res.StatusCode, kind)
		}
	}
	return nil
}

// fromStore reports whether an answer has a header that only the S3 protocol has.
func fromStore(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-") {
			return true
		}
	}
	return false
}

// checkDocument reads an XML answer completely, because the SDK takes one that is empty, truncated or unrelated for a listing without
// objects.
func checkDocument(res *http.Response, root string) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err == nil && res.Header.Get("Content-Encoding") == "gzip" { // by a proxy: nobody asked for it
		body, err = gunzip(body)
	}
	if err != nil {
		return err
	}
	if len(body) > maxDocument {
		return foreign("it is longer than %d bytes", maxDocument)
	}
	got, err := rootOf(body)
	switch {
	case err != nil:
		return foreign("status %d and no XML (%v)", res.StatusCode, err)
	case got == "Error":
		res.StatusCode = http.StatusInternalServerError // S3 does this when it is too late for another status
	case got != root:
		return foreign("status %d with <%s> instead of <%s>", res.StatusCode, got, root)
	case !closed(body, root):
		return fmt.Errorf("%s: %w", root, io.ErrUnexpectedEOF)
	}
	_ = res.Body.Close() // it has been read
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res.Header.Del("Content-Encoding")
	return nil
}

func gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, foreign("it says that it is gzip, and is not (%v)", err)
	}
	return io.ReadAll(io.LimitReader(z, maxDocument+1))
}

// rootOf returns the name of a document's first element.
func rootOf(body []byte) (string, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return "", errors.New("it is empty")
		}
		if err != nil {
			return "", err
		}
		if e, ok := t.(xml.StartElement); ok {
			return e.Name.Local, nil
		}
	}
}

// closed reports whether a document with the first element root is complete.
func closed(body []byte, root string) bool {
	body = bytes.TrimSpace(body)
	if rest, ok := bytes.CutSuffix(body, []byte(">")); ok {
		rest = bytes.TrimRight(rest, " \t\r\n")
		if name, ok := bytes.CutSuffix(rest, []byte(root)); ok {
			i := bytes.LastIndexByte(name, '<')
			return i >= 0 && i+1 < len(name) && name[i+1] == '/'
		}
		return bytes.HasSuffix(rest, []byte("/")) && bytes.Count(body, []byte("<")) <= 2 // <?xml …?><Root/>
	}
	return false
}
