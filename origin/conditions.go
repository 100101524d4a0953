package origin

import (
	"net/http"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
)

// verdict is the result of a request's preconditions.
type verdict uint8

const (
	proceed verdict = iota
	notModified
	failed // 412
)

// evaluate checks the preconditions in the order of RFC 9110 13.2.2. etag belongs to the selected representation; modified is its last
// change.
func evaluate(req *http1.Request, etag string, modified time.Time) verdict {
	if req.IfMatch != "" {
		if !matchETag(req.IfMatch, etag, false) {
			return failed
		}
	} else if t, ok := parseDate(req.IfUnmodifiedSince); ok && modified.Truncate(time.Second).After(t) {
		return failed
	}
	if req.IfNoneMatch != "" {
		if matchETag(req.IfNoneMatch, etag, true) {
			return notModified
		}
		return proceed
	}
	if t, ok := parseDate(req.IfModifiedSince); ok && !modified.Truncate(time.Second).After(t) {
		return notModified
	}
	return proceed
}

// matchETag reports whether a strong etag matches a list of entity tags, or "*". Weak tags in the list count only if weak comparison is
// allowed. Anything after a malformed element is ignored.
func matchETag(list, etag string, weak bool) bool {
	for {
		list = strings.TrimLeft(list, " \t,")
		if list == "" {
			return false
		}
		if list[0] == '*' {
			return trim(list) == "*"
		}
		tag, isWeak := list, false
		if strings.HasPrefix(tag, "W/") {
			tag, isWeak = tag[2:], true
		}
		if tag == "" || tag[0] != '"' {
			return false
		}
		end := strings.IndexByte(tag[1:], '"')
		if end < 0 {
			return false
		}
		if tag[:end+2] == etag && (weak || !isWeak) {
			return true
		}
		list = tag[end+2:]
	}
}

// rangeHolds reports whether If-Range lets the Range count: the same strong etag, or the same date if it is exact enough to tell two
// versions apart (RFC 9110 13.1.5).
func rangeHolds(ifRange, etag, lastModified string, exactDate bool) bool {
	switch {
	case ifRange == "":
		return true
	case ifRange[0] == '"':
		return ifRange == etag
	}
	return exactDate && ifRange == lastModified
}

func parseDate(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	t, err := http.ParseTime(s)
	return t, err == nil
}
