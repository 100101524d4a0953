package origin

import "time"

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
func (o *Origin) deliver(req *request, res *response, rep *representation) bool {
	switch evaluate(req, rep.etag, rep.modified) {
	case failed:
		o.text(res, 412, ageNever, "precondition failed\n")
		return false
	case notModified:
		res.status = 304
		res.add("Cache-Control", rep.cacheControl)
		res.add("ETag", rep.etag)
		if rep.vary != "" {
			res.add("Vary", rep.vary)
		}
		return false
	}

	res.status, res.offset, res.length = 200, 0, rep.size
	length := rep.contentSize
	// A Range is defined for GET only (RFC 9110 14.2).
	if req.byteRange != "" && req.method == methodGet && rangeHolds(req.ifRange, rep.etag, rep.lastModified, rep.exactDate) {
		offset, n, result := parseRange(req.byteRange, rep.size)
		switch result {
		case unsatisfiable:
			res.add("Content-Range", "bytes */"+itoa(rep.size))
			o.text(res, 416, ageNever, "range not satisfiable\n")
			return false
		case onePart:
			res.status, res.offset, res.length = 206, offset, n
			length = itoa(n)
			res.add("Content-Range", "bytes "+itoa(offset)+"-"+itoa(offset+n-1)+"/"+itoa(rep.size))
		}
	}
	res.add("Cache-Control", rep.cacheControl)
	res.add("Content-Type", rep.contentType)
	res.add("Content-Length", length)
	res.add("Accept-Ranges", "bytes")
	res.add("ETag", rep.etag)
	res.add("Last-Modified", rep.lastModified)
	if rep.encoding != "" {
		res.add("Content-Encoding", rep.encoding)
	}
	if rep.vary != "" {
		res.add("Vary", rep.vary)
	}
	return true
}
