package httpput

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// realm is the protection space of RFC 7617.
const realm = "hlsorigin"

// credentials are what a request carries.
type credentials struct {
	user, password, token string
	digest                map[string]string // of a Digest (RFC 7616 3.4); nil: it is none
}

var errAuthorization = ingest.Refuse(ingest.BadName, "the Authorization header cannot be read: send Basic, Digest or Bearer")

// parseCredentials reads the Authorization header, or the query: user, key or pass, token or jwt.
func parseCredentials(r *http.Request) (c credentials, err error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return c, ingest.Refuse(ingest.BadName, "the query of the address cannot be read: write it percent-encoded")
	}
	first := func(names ...string) string {
		for _, n := range names {
			if v := q.Get(n); v != "" {
				return v
			}
		}
		return ""
	}
	c = credentials{user: first("user"), password: first("key", "pass"), token: first("token", "jwt")}
	header := strings.TrimSpace(r.Header.Get("Authorization"))
	if header == "" {
		return c, nil
	}
	kind, rest, _ := strings.Cut(header, " ")
	rest = strings.TrimSpace(rest)
	switch strings.ToLower(kind) {
	case "basic":
		raw, err := base64.StdEncoding.DecodeString(rest)
		user, password, ok := strings.Cut(string(raw), ":")
		if err != nil || !ok {
			return c, errAuthorization
		}
		c.user, c.password = user, password
	case "bearer":
		c.token = rest
	case "digest":
		if c.digest = parameters(rest); c.digest["username"] == "" || c.digest["response"] == "" {
			return c, errAuthorization
		}
		c.user = c.digest["username"]
	default:
		return c, errAuthorization
	}
	return c, nil
}

// parameters reads name=value, name="value", as far as it can.
func parameters(s string) map[string]string {
	all := map[string]string{}
	for s != "" && len(all) < 32 {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest, _ = strings.Cut(rest[1:], `"`)
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			value, rest, _ = strings.Cut(rest, ",")
		}
		all[strings.ToLower(strings.Trim(name, " ,\t"))], s = strings.TrimSpace(value), rest
	}
	return all
}

// nonceLife is how long a nonce is good. It belongs to no connection: encoders open one for each file.
const nonceLife = 10 * time.Minute

// nonce is the time, and what only this server can add to it.
func (s *Server) nonce(now time.Time) string {
	at := strconv.FormatInt(now.Unix(), 16)
	m := hmac.New(sha256.New, s.secret[:])
	m.Write([]byte(at))
	return at + "." + hex.EncodeToString(m.Sum(nil)[:16])
}

// stale reports whether a nonce is not, or not any more, one of ours.
func (s *Server) stale(nonce string, now time.Time) bool {
	at, _, _ := strings.Cut(nonce, ".")
	n, err := strconv.ParseInt(at, 16, 64)
	if err != nil || subtle.ConstantTimeCompare([]byte(nonce), []byte(s.nonce(time.Unix(n, 0)))) == 0 {
		return true
	}
	age := now.Sub(time.Unix(n, 0))
	return age < -time.Minute || age > nonceLife
}

// challenge asks for credentials. Of several Digests FFmpeg answers the last, and it knows only MD5, so SHA-256 comes before it.
func (s *Server) challenge(h http.Header, digest, stale bool) {
	if digest {
		rest := `realm="` + realm + `", qop="auth", nonce="` + s.nonce(s.o.Now()) + `"`
		if stale {
			rest += ", stale=true"
		}
		h.Add("WWW-Authenticate", "Digest "+rest+", algorithm=SHA-256")
		defer h.Add("WWW-Authenticate", "Digest "+rest+", algorithm=MD5")
	}
	h.Add("WWW-Authenticate", `Basic realm="`+realm+`", charset="UTF-8"`)
}

// answers reports whether a Digest was made with a password (RFC 7616 3.4.1).
func answers(d map[string]string, method, uri, password string) bool {
	var sum func() hash.Hash
	switch strings.ToUpper(d["algorithm"]) {
	case "", "MD5":
		sum = md5.New
	case "SHA-256":
		sum = sha256.New
	default:
		return false
	}
	if d["uri"] != uri && !strings.HasSuffix(d["uri"], uri) || d["realm"] != realm { // some send the address with its host
		return false
	}
	h := func(parts ...string) string {
		s := sum()
		s.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(s.Sum(nil))
	}
	a1, a2 := h(d["username"], realm, password), h(method, d["uri"])
	want := h(a1, d["nonce"], a2)
	if d["qop"] != "" {
		want = h(a1, d["nonce"], d["nc"], d["cnonce"], d["qop"], a2)
	}
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(d["response"]))) == 1
}
