package origin

// method is an HTTP method, as far as this server tells them apart.
type method uint8

const (
	methodOther method = iota
	methodGet
	methodHead
	methodOptions
)

func methodOf(s string) method {
	switch s {
	case "GET":
		return methodGet
	case "HEAD":
		return methodHead
	case "OPTIONS":
		return methodOptions
	}
	return methodOther
}

// request is everything that an answer depends on. A field that came in several lines is joined by commas (RFC 9110
// 5.3). The strings are borrowed from the front-end's buffer: an answer may point into them only until it was sent.
type request struct {
	method method
	path   string // decoded, with its leading slash
	query  string // raw, without the question mark
	length int    // bytes of the whole request target
	slot   *slot  // what the path is known to stand for; nil where nobody has looked

	acceptEncoding    string
	ifMatch           string
	ifNoneMatch       string
	ifModifiedSince   string
	ifUnmodifiedSince string
	ifRange           string
	byteRange         string
	origin            string
	secret            string // the value of the field that Options.Secret names

	// waited says that this request was held once until its time was up: it is answered now, whatever there is.
	waited bool
}
