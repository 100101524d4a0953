package rtsp

import (
	"github.com/bluenviron/gortsplib/v4/pkg/auth"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
)

// realm is the protection realm of RFC 7617.
const realm = "hlsorigin"

// challengeOf asks for credentials. Of several Digests FFmpeg answers the last, and it supports only MD5, so SHA-256 (RFC 7616) comes
// before it. Each nonce is valid for one connection, and a connection has one wrong answer.
func challengeOf(digest bool, nonce string) base.HeaderValue {
	methods := []auth.VerifyMethod{auth.VerifyMethodBasic}
	if digest {
		methods = []auth.VerifyMethod{auth.VerifyMethodDigestSHA256, auth.VerifyMethodBasic, auth.VerifyMethodDigestMD5}
	}
	return auth.GenerateWWWAuthenticate(methods, realm, nonce)
}

// digestIs checks a Digest. It also covers the address as it was sent, with or without its user.
func digestIs(request *base.Request, asked *base.URL, user, password, nonce string) bool {
	if nonce == "" || asked == nil {
		return false
	}
	methods := []auth.VerifyMethod{auth.VerifyMethodDigestSHA256, auth.VerifyMethodDigestMD5}
	for _, u := range []*base.URL{asked, asked.CloneWithoutCredentials()} {
		r := *request
		r.URL = u
		if auth.Verify(&r, user, password, methods, realm, nonce) == nil {
			return true
		}
	}
	return false
}
