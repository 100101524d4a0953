package rtsp

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// maxReason bounds the reason phrase of an answer, in bytes: FFmpeg keeps 256, other clients reject more.
const maxReason = 240

// errInternal is what a publisher is told about an internal error, which only the log shows.
var errInternal = errors.New("internal error, see the server's log")

// statusOf returns the status of a refusal. credentials reports whether the encoder had sent any: if not, it is asked for them; if so, they
// were not good enough, and asking again would not help.
func statusOf(err error, credentials bool) base.StatusCode {
	var r *ingest.Refusal
	if !errors.As(err, &r) {
		return base.StatusInternalServerError
	}
	switch r.Kind {
	case ingest.BadName:
		return base.StatusBadRequest
	case ingest.NameTaken:
		return base.StatusMethodNotValidInThisState
	case ingest.Unauthorized:
		if !credentials {
			return base.StatusUnauthorized
		}
		return base.StatusForbidden
	case ingest.TooMany: // 429 exists only in HTTP
		return base.StatusForbidden
	case ingest.UnknownApp:
		return base.StatusNotFound
	case ingest.Unsupported:
		return base.StatusUnsupportedMediaType
	case ingest.Overloaded:
		return base.StatusServiceUnavailable
	}
	return base.StatusInternalServerError
}

// refusalResponse gives the reason twice: in the reason phrase, which encoders print, and complete in the body.
func refusalResponse(err error, credentials bool) *base.Response {
	code := statusOf(err, credentials)
	if code == base.StatusInternalServerError {
		err = errInternal
	}
	res := &base.Response{StatusCode: code}
	withReason(res, err.Error())
	return res
}

// withReason adds a reason to a refusal.
func withReason(res *base.Response, reason string) {
	if res.Header == nil {
		res.Header = base.Header{}
	}
	res.StatusMessage = reasonPhrase(base.StatusMessages[res.StatusCode] + ": " + reason)
	res.Header["Content-Type"] = base.HeaderValue{"text/plain; charset=utf-8"}
	res.Body = []byte(reason + "\n")
}

// reasonPhrase makes s fit for a status line: one line, bounded.
func reasonPhrase(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	for len(s) > maxReason {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}
