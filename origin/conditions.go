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

// wantsGzip reads Accept-Encoding (RFC 9110 12.5.3). Gzip is chosen where its weight is above zero and not below the
// weight of an identity that was named. A client that refuses both gets the identity: an answer that it may not like
// serves a viewer better than 406.
func wantsGzip(accept string) bool {
	if accept == "gzip" { // what CloudFront and most caches make of it
		return true
	}
	gzip, identity, star := -1, -1, -1 // thousandths; -1: not named
	for accept != "" {
		var item string
		item, accept, _ = strings.Cut(accept, ",")
		name, params, _ := strings.Cut(item, ";")
		name = trim(name)
		switch q := quality(params); {
		case strings.EqualFold(name, "gzip") || strings.EqualFold(name, "x-gzip"):
			gzip = q
		case strings.EqualFold(name, "identity"):
			identity = q
		case name == "*":
			star = q
		}
	}
	if gzip < 0 {
		gzip = star
	}
	return gzip > 0 && gzip >= identity
}

// quality is the weight in thousandths among the parameters; 1000 where there is none, 0 where it cannot be read, so
// that a malformed weight never switches a coding on.
func quality(params string) int {
	for params != "" {
		var p string
		p, params, _ = strings.Cut(params, ";")
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(trim(name), "q") {
			continue
		}
		value = trim(value)
		if value == "" || len(value) > 5 || value[0] != '0' && value[0] != '1' || len(value) > 1 && value[1] != '.' {
			return 0
		}
		q, unit := int(value[0]-'0')*1000, 100
		for i := 2; i < len(value); i++ {
			if value[i] < '0' || value[i] > '9' {
				return 0
			}
			q += int(value[i]-'0') * unit
			unit /= 10
		}
		return min(q, 1000)
	}
	return 1000
}

// trim removes optional white space (RFC 9110 5.6.3).
func trim(s string) string { return strings.Trim(s, " \t") }
