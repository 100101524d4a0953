package http1

import "net"

// Method is an HTTP method, as far as this server distinguishes them.
type Method uint8

// The methods.
const (
	MethodOther Method = iota
	MethodGet
	MethodHead
	MethodOptions
)

func methodOf(s string) Method {
	switch s {
	case "GET":
		return MethodGet
	case "HEAD":
		return MethodHead
	case "OPTIONS":
		return MethodOptions
	}
	return MethodOther
}

// Request is everything that an answer may depend on. A field that came in several lines is joined with commas (RFC 9110 5.3). The strings
// are borrowed from the connection's buffer.
type Request struct {
	Method Method
	Path   string // as sent, with its leading slash; nothing is decoded
	Query  string // raw, without the question mark
	Length int    // bytes of the whole request target
	Remote net.Addr

	AcceptEncoding    string
	IfMatch           string
	IfNoneMatch       string
	IfModifiedSince   string
	IfUnmodifiedSince string
	IfRange           string
	Range             string
	Origin            string
	Extra             string // the value of the field named by Options.Extra

	Vouched bool // an answer on this connection had Response.Vouch
	Held    bool // it was held before
	Waited  bool // it was held until its time was up: it must be answered now
	Memo    any  // the handler's own: Options.Quick may set it for Answer
}
