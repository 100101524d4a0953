package configs

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const long = "0123456789abcdef0123456789abcdef"

func TestAuthIsRead(t *testing.T) {
	c, err := Parse([]byte(`
trusted_proxies: [127.0.0.1, "10.0.0.0/8"]
apps:
  live:
    keys: {cam: "sha256:2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B"}
    auth:
      jwt: {secret: "`+long+`", jwks: "https://id.example.com/jwks.json"}
      callback: {url: "http://u:hunter2@127.0.0.1:9000/auth?t=hunter2"}
      allow: ["2001:db8::/32", 203.0.113.9]
`), "f", []string{"HLSORIGIN_APPS_LIVE_AUTH_CALLBACK_CACHE=5s"})
	if err != nil {
		t.Fatal(err)
	}
	a := c.Apps["live"].Auth
	if a.Callback.Timeout != seconds(2) || a.Callback.Cache != seconds(5) {
		t.Errorf("callback %+v", a.Callback)
	}
	if got := fmt.Sprint(a.JWT.Accepted()); got != "[HS256 RS256 ES256 EdDSA]" {
		t.Errorf("algorithms %s", got)
	}
	if got := fmt.Sprint(Ranges(a.Allow), Ranges(c.TrustedProxies)); got != "[2001:db8::/32 203.0.113.9/32] [127.0.0.1/32 10.0.0.0/8]" {
		t.Errorf("ranges %s", got)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "url", a.Callback.URL)
	for _, s := range []string{c.String(), fmt.Sprintf("%v %+v %#v", a, a, a), log.String()} {
		if strings.Contains(s, "hunter2") || strings.Contains(s, long) {
			t.Errorf("a secret is shown: %s", s)
		}
	}
	if !strings.Contains(c.String(), "http://xxxxx@127.0.0.1:9000/auth?xxxxx") {
		t.Errorf("the address is not shown:\n%s", c)
	}
}

func TestBadAuth(t *testing.T) {
	for in, want := range map[string]string{
		`auth: {jwt: {secret: short}}`:                                    "auth.jwt.secret: is shorter",
		`auth: {jwt: {jwks: "ftp://x"}}`:                                  "auth.jwt.jwks",
		`auth: {jwt: {algorithms: [RS256]}}`:                              "needs jwt.jwks",
		`auth: {jwt: {algorithms: [HS256], jwks: "https://x/y"}}`:         "needs jwt.secret",
		`auth: {jwt: {algorithms: [none], jwks: "https://x/y"}}`:          "none of HS256",
		`auth: {callback: {url: "127.0.0.1:9000"}}`:                       "auth.callback.url",
		`auth: {callback: {url: "http://x", timeout: 1m}}`:                "auth.callback.timeout",
		`auth: {allow: [10.0.0.1/8]}`:                                     "did you mean 10.0.0.0/8?",
		`auth: {allow: [everybody]}`:                                      "neither an address",
		`auth: {callback: {url: "http://x"}}, publish: open`:              "publish: open lets anybody",
		`keys: {cam: "sha256:abc"}`:                                       "64 hexadecimal digits",
		`keys: {cam: hunter2, b: "` + keyHash + hashKey("hunter2") + `"}`: "the same secret",
		`keys: {cam: "` + keyHash + hashKey("cam") + `"}`:                 "is the public name",
	} {
		_, err := Parse([]byte("apps: {live: {"+in+"}}"), "f", nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "short,") {
			t.Errorf("%s: %v", in, err)
		}
	}
	if _, err := Parse([]byte("trusted_proxies: [localhost]"), "f", nil); err == nil || !strings.Contains(err.Error(), "trusted_proxies[0]") {
		t.Errorf("%v", err)
	}
	if _, err := Parse([]byte(`storage: {url: "s3://b", endpoint: "gopher://u:hunter2@x"}`), "f", nil); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestEndpointUserIsNotShown(t *testing.T) {
	c, err := Parse([]byte(`storage: {url: "s3://b", endpoint: "https://u:hunter2@s3.example.com"}`), "f", nil)
	if err != nil || strings.Contains(c.String(), "hunter2") || !strings.Contains(c.String(), "s3.example.com") {
		t.Errorf("%v:\n%s", err, c)
	}
}
