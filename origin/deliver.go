package origin

import (
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// representation is what a GET of an existing object selects, before preconditions and ranges.
type representation struct {
	contentType  string
	cacheControl string
	encoding     string // Content-Encoding; "" for none
	vary         string
	etag         string // strong, quoted
	modified     time.Time
	lastModified string // modified as a header field
	size         int64
	contentSize  string // size as a header field
	// exactDate means that no two versions can share a Last-Modified, so that If-Range may use it.
	exactDate bool
}

// deliver answers 200, 206, 304, 412 or 416 and sets offset and length. It reports whether a body is to be sent; if not, the caller must
// not send one.
func (o *Origin) deliver(req *http1.Request, res *http1.Response, rep *representation) bool {
	switch evaluate(req, rep.etag, rep.modified) {
	case failed:
		o.text(res, 412, ageNever, "precondition failed\n")
		return false
	case notModified:
		res.Status = 304
		res.Add("Cache-Control", rep.cacheControl)
		res.Add("ETag", rep.etag)
		if rep.vary != "" {
			res.Add("Vary", rep.vary)
		}
		return false
	}

	res.Status, res.Offset, res.Length = 200, 0, rep.size
	length := rep.contentSize
	// A Range is defined only for GET (RFC 9110 14.2).
	if req.Range != "" && req.Method == http1.MethodGet && rangeHolds(req.IfRange, rep.etag, rep.lastModified, rep.exactDate) {
		offset, n, result := parseRange(req.Range, rep.size)
		switch result {
		case unsatisfiable:
			res.Add("Content-Range", "bytes */"+itoa(rep.size))
			o.text(res, 416, ageNever, "range not satisfiable\n")
			return false
		case onePart:
			res.Status, res.Offset, res.Length = 206, offset, n
			length = itoa(n)
			res.Add("Content-Range", "bytes "+itoa(offset)+"-"+itoa(offset+n-1)+"/"+itoa(rep.size))
		}
	}
	res.Add("Cache-Control", rep.cacheControl)
	res.Add("Content-Type", rep.contentType)
	res.Add("Content-Length", length)
	res.Add("Accept-Ranges", "bytes")
	res.Add("ETag", rep.etag)
	res.Add("Last-Modified", rep.lastModified)
	if rep.encoding != "" {
		res.Add("Content-Encoding", rep.encoding)
	}
	if rep.vary != "" {
		res.Add("Vary", rep.vary)
	}
	return true
}

// deliverSheet answers with a playlist in the encoding that the client prefers.
func (o *Origin) deliverSheet(req *http1.Request, res *http1.Response, sh *sheet) {
	o.deliverText(req, res, sh, segmenter.TypePlaylist)
}

// deliverText is deliverSheet for a text of any type.
func (o *Origin) deliverText(req *http1.Request, res *http1.Response, sh *sheet, contentType string) {
	p := sh.playlist
	rep := representation{
		contentType:  contentType,
		cacheControl: sh.cacheControl,
		vary:         o.cors().vary(true),
		etag:         p.ETag,
		modified:     p.Modified,
		lastModified: sh.lastModified,
		size:         int64(len(p.Body)),
		contentSize:  sh.size,
	}
	body := p.Body
	if len(p.Gzip) > 0 && wantsGzip(req.AcceptEncoding) {
		body = p.Gzip
		rep.etag, rep.encoding, rep.size, rep.contentSize = p.GzipETag, "gzip", int64(len(p.Gzip)), sh.gzipSize
	}
	if sh.lastSequence != "" {
		res.Add("X-HLS-Last-Sequence", sh.lastSequence)
		res.Add("X-HLS-Last-Updated", sh.lastUpdated)
	}
	if o.deliver(req, res, &rep) {
		res.Bytes = body
	}
}

// lasting is an object whose name is never used twice: what tells it from the others in its folder and its size together are a strong
// validator, the same one wherever its bytes come from.
func (o *Origin) lasting(contentType, id string, size int64, modified time.Time, age string) representation {
	return representation{
		contentType:  contentType,
		cacheControl: age,
		vary:         o.cors().vary(false),
		etag:         `"` + id + "-" + strconv.FormatInt(size, 16) + `"`,
		modified:     modified,
		lastModified: httpDate(modified),
		size:         size,
		contentSize:  itoa(size),
		exactDate:    true,
	}
}

// deliverSegment gives the same answer for the same segment wherever its bytes come from.
func (o *Origin) deliverSegment(req *http1.Request, res *http1.Response, name segmenter.Name, m *media) error {
	rep := o.lasting(segmenter.TypeSegment, strconv.FormatUint(name.Sequence, 10), m.size, m.modified, m.age)
	whole := o.deliver(req, res, &rep)
	switch {
	case !whole || req.Method != http1.MethodGet:
		m.release()
	case m.segment != nil:
		o.stats.FromMemory.Add(1)
		res.Pieces = m.segment
	case m.object != nil:
		o.stats.FromArchive.Add(1)
		res.File = m.object
		if res.Offset > 0 {
			if _, err := m.object.Seek(res.Offset, io.SeekStart); err != nil {
				res.Reset()
				o.cors().apply(req, res)
				return o.broken(name.String(), err)
			}
		}
	default:
		res.Bytes = m.body
	}
	return nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// rangeResult is what a Range header field asks for.
type rangeResult uint8

const (
	wholeBody     rangeResult = iota // no range, several, or one that cannot be read: the whole is sent
	onePart                          // one satisfiable range
	unsatisfiable                    // one range with nothing of the body in it
)

// parseRange reads a Range of bytes (RFC 9110 14.1.2) over a body of size bytes. Several ranges are ignored, as a server
// may: no player asks for them, and multipart answers are where range attacks live.
func parseRange(s string, size int64) (offset, length int64, result rangeResult) {
	if len(s) < 6 || !strings.EqualFold(s[:6], "bytes=") {
		return 0, size, wholeBody
	}
	first, last, ok := strings.Cut(trim(s[6:]), "-")
	first, last = trim(first), trim(last)
	if !ok {
		return 0, size, wholeBody
	}
	if first == "" { // the last n bytes
		n, ok := parseBytes(last)
		switch {
		case !ok:
			return 0, size, wholeBody
		case n == 0 || size == 0:
			return 0, 0, unsatisfiable
		}
		n = min(n, size)
		return size - n, n, onePart
	}
	from, ok := parseBytes(first)
	to := int64(maxBytes)
	if ok && last != "" {
		to, ok = parseBytes(last)
	}
	switch {
	case !ok || to < from:
		return 0, size, wholeBody
	case from >= size:
		return 0, 0, unsatisfiable
	}
	return from, min(to, size-1) - from + 1, onePart
}

// maxBytes is where numbers saturate: no body of ours comes near.
const maxBytes = 1 << 62

// parseBytes reads digits only; huge numbers saturate instead of failing.
func parseBytes(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n < maxBytes/10 {
			n = n*10 + int64(c-'0')
		} else {
			n = maxBytes
		}
	}
	return n, true
}
