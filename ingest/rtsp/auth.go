package rtsp

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// target is where an ANNOUNCE wants to publish, and the credentials in its URL.
type target struct {
	app, name      string
	user, password string
	token          string
}

// parseTarget reads /{app}/{stream}?user=…&key=… as the library has split it: the path is unescaped, the query is not. The first of "key"
// and "pass" that is present is the password. The Authorizer decides whether the names are valid.
func parseTarget(path, query string) (target, error) {
	app, name, ok := strings.Cut(strings.Trim(path, "/"), "/")
	if !ok || app == "" || name == "" || strings.Contains(name, "/") {
		return target{}, ingest.Refuse(ingest.BadName, "the address must be rtsp://host/{app}/{stream}")
	}
	// FFmpeg and GStreamer append a slash, or the control of a track, to the query.
	query = strings.TrimSuffix(query, "/")
	values, err := url.ParseQuery(query)
	if err != nil {
		return target{}, ingest.Refuse(ingest.BadName, "the query of the address cannot be read: write it percent-encoded")
	}
	t := target{app: app, name: name, user: values.Get("user"), password: values.Get("key"), token: values.Get("token")}
	if t.token == "" {
		t.token = values.Get("jwt")
	}
	if t.password == "" {
		t.password = values.Get("pass")
	}
	return t, nil
}

// backup reports whether a query says that the encoder feeds another server, too.
func backup(query string) bool {
	v, _ := url.ParseQuery(strings.TrimSuffix(query, "/"))
	return v.Get("backup") == "1"
}

// scheme is the scheme of an Authorization header.
type scheme uint8

const (
	noAuth scheme = iota
	basicAuth
	digestAuth
)

var errBadAuthorization = errors.New("the Authorization header cannot be read")

// parseAuthorization reads the header according to RFC 7617: the user ends at the first colon, and a password may contain more. From a
// Digest (RFC 7616) it reads only the user name.
func parseAuthorization(v base.HeaderValue) (s scheme, user, password string, err error) {
	if len(v) == 0 {
		return noAuth, "", "", nil
	}
	kind, rest, _ := strings.Cut(strings.TrimSpace(v[0]), " ")
	rest = strings.TrimSpace(rest)
	switch strings.ToLower(kind) {
	case "basic":
		raw, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return noAuth, "", "", errBadAuthorization
		}
		user, password, ok := strings.Cut(string(raw), ":")
		if !ok {
			return noAuth, "", "", errBadAuthorization
		}
		return basicAuth, user, password, nil
	case "digest":
		_, after, ok := strings.Cut(rest, `username="`)
		user, _, closed := strings.Cut(after, `"`)
		if !ok || !closed || user == "" {
			return noAuth, "", "", errBadAuthorization
		}
		return digestAuth, user, "", nil
	}
	return noAuth, "", "", errBadAuthorization
}
