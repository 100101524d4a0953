package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks (https://www.standardwebhooks.com).
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp" // of the attempt, seconds since 1970
	headerSignature = "webhook-signature"
)

const secretPrefix = "whsec_"

// Bounds of a secret in bytes, from the specification.
const (
	minSecret = 24
	maxSecret = 64
)

// errSecret never contains the secret.
var errSecret = errors.New("a secret is whsec_ and the base64 of 24 to 64 random bytes: hlsorigin hooks secret makes one")

// parseSecret returns the key of a secret, or nil if there is none.
func parseSecret(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	text, ok := strings.CutPrefix(s, secretPrefix)
	if !ok {
		return nil, errSecret
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) < minSecret || len(key) > maxSecret {
		return nil, errSecret
	}
	return key, nil
}

// sign sets the headers of one attempt. Without a key it sets no signature.
func sign(h http.Header, key []byte, id string, at time.Time, body []byte) {
	seconds := strconv.FormatInt(at.Unix(), 10)
	h.Set(headerID, id)
	h.Set(headerTimestamp, seconds)
	if key == nil {
		return
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + seconds + "."))
	mac.Write(body)
	h.Set(headerSignature, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
