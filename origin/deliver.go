package origin

import (
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
)

// representation is what a GET of an existing thing selects, before preconditions and ranges.
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
	// exactDate says that no two versions can share a Last-Modified, so that If-Range may use it.
	exactDate bool
}

// deliver answers 200, 206, 304, 412 or 416 and sets offset and length. It says whether a body is to be sent; where it
// is not, the caller gives none.
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
	// A Range is defined for GET only (RFC 9110 14.2).
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

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
