package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// keyHash begins a key of which the file has the hash alone.
const keyHash = "sha256:"

// hashKey is a key as its hash, in small letters; empty where it looks like one and is none.
func hashKey(s Secret) string {
	text, hashed := strings.CutPrefix(string(s), keyHash)
	if !hashed {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	if b, err := hex.DecodeString(text); err != nil || len(b) != sha256.Size {
		return ""
	}
	return strings.ToLower(text)
}

// The algorithms of tokens, and what each is checked with.
var (
	secretAlgorithms = []string{"HS256"}
	jwksAlgorithms   = []string{"RS256", "ES256", "EdDSA"}
)

// minSecret is the shortest secret of HS256 in bytes: RFC 7518 3.2 wants as many as the hash has.
const minSecret = 32

// Accepted is the algorithms that are taken: those that are named, or those that there is a secret or a key for.
func (j JWT) Accepted() []string {
	if len(j.Algorithms) > 0 {
		return j.Algorithms
	}
	var all []string
	if j.Secret != "" {
		all = append(all, secretAlgorithms...)
	}
	if j.JWKS != "" {
		all = append(all, jwksAlgorithms...)
	}
	return all
}

func (d *decoder) auth(key string, a App) {
	j, c := a.Auth.JWT, a.Auth.Callback
	if j.Secret != "" && len(j.Secret) < minSecret {
		d.bad(key+".jwt.secret", "is shorter than %d bytes: who has one token could find it by trying", minSecret)
	}
	if j.JWKS != "" && !j.JWKS.web() {
		d.bad(key+".jwt.jwks", "%q is not http://host/… or https://host/…", j.JWKS)
	}
	for i, alg := range j.Algorithms {
		at := fmt.Sprintf("%s.jwt.algorithms[%d]", key, i)
		switch {
		case slices.Contains(secretAlgorithms, alg) && j.Secret == "":
			d.bad(at, "%s needs jwt.secret beside it", alg)
		case slices.Contains(jwksAlgorithms, alg) && j.JWKS == "":
			d.bad(at, "%s needs jwt.jwks beside it", alg)
		default:
			d.oneOf(at, alg, slices.Concat(secretAlgorithms, jwksAlgorithms)...)
		}
	}
	if c.URL != "" && !c.URL.web() {
		d.bad(key+".callback.url", "%q is not http://host/… or https://host/…", c.URL)
	}
	if c.Timeout < Duration(100*time.Millisecond) || c.Timeout > seconds(8) {
		d.bad(key+".callback.timeout", "%s is outside 100ms to 8s: encoders give up after 10s", c.Timeout)
	}
	d.ranges(key+".allow", a.Auth.Allow)
	if a.Publish == PublishOpen && (len(j.Accepted()) > 0 || c.URL != "") {
		d.bad(key, "publish: open lets anybody publish, so that this would guard nothing: have one or the other")
	}
}

// ParseRange reads an address, which is a range of one, or a range such as 10.0.0.0/8.
func ParseRange(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a range such as 10.0.0.0/8 or 2001:db8::/32", s)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits behind its length: did you mean %s?", s, p.Masked())
	}
	return p, nil
}

// Ranges reads a list that was validated.
func Ranges(list []string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range list {
		if p, err := ParseRange(s); err == nil {
			all = append(all, p)
		}
	}
	return all
}

func (d *decoder) ranges(key string, list []string) {
	for i, s := range list {
		if _, err := ParseRange(s); err != nil {
			d.bad(fmt.Sprintf("%s[%d]", key, i), "%s", err)
		}
	}
}
