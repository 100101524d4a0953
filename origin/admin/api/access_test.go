package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func with(field, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(field, value) }
}

func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address }
}

func guarded(t *testing.T, o Options) *API {
	t.Helper()
	a := New(o)
	commit, err := a.Prepare([]Token{{Name: "reader", Hash: hashed("read-secret")}, {Name: "operator", Hash: hashed("operate-secret"), Operate: true}})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	return a
}

func TestWithoutTokensOnlyThisMachine(t *testing.T) {
	for address, status := range map[string]int{
		"127.0.0.1:5": 200, "127.9.9.9:5": 200, "[::1]:5": 200, "[::ffff:127.0.0.1]:5": 200,
		"192.0.2.1:5": 403, "[2001:db8::1]:5": 403, "10.0.0.1:5": 403, "@": 403, "": 403,
	} {
		for _, path := range []string{"/v1/streams", "/openapi.json", "/v1/nothing"} {
			res := ask(open(newHouse()), "GET", path, "", from(address))
			if want := status; res.StatusCode != want && (path != "/v1/nothing" || want == 403) {
				t.Errorf("%s from %q: %d, wanted %d", path, address, res.StatusCode, want)
			}
			if res.StatusCode == 403 && !strings.Contains(problem(t, res), "hlsorigin keys new") {
				t.Error("it does not say what to do")
			}
		}
	}
}

func TestTokens(t *testing.T) {
	h := newHouse()
	a := guarded(t, Options{Streams: h, Server: h})
	for _, tc := range []struct {
		name, method, authorization string
		status                      int
		challenge                   string
	}{
		{"none, even here", "GET", "", 401, `Bearer realm="hlsorigin"`},
		{"no bearer", "GET", "Basic cmVhZC1zZWNyZXQ6", 401, `Bearer realm="hlsorigin"`},
		{"no secret", "GET", "Bearer ", 401, `Bearer realm="hlsorigin"`},
		{"a wrong one", "GET", "Bearer wrong", 401, "invalid_token"},
		{"the hash itself", "GET", "Bearer " + hashed("read-secret"), 401, "invalid_token"},
		{"read", "GET", "Bearer read-secret", 200, ""},
		{"read, in small letters", "GET", "bearer read-secret", 200, ""},
		{"read, for a change", "POST", "Bearer read-secret", 403, "insufficient_scope"},
		{"operate", "GET", "Bearer operate-secret", 200, ""},
		{"operate, for a change", "POST", "Bearer operate-secret", 200, ""},
		{"none, for a change", "POST", "", 401, `Bearer realm="hlsorigin"`},
	} {
		target := map[string]string{"GET": "/v1/streams", "POST": "/v1/uploads/retry"}[tc.method]
		res := ask(a, tc.method, target, "", with("Authorization", tc.authorization))
		if res.StatusCode != tc.status || !strings.Contains(res.Header.Get("WWW-Authenticate"), tc.challenge) {
			t.Errorf("%s: %d %q, wanted %d", tc.name, res.StatusCode, res.Header.Get("WWW-Authenticate"), tc.status)
		}
		if res.StatusCode != 200 {
			problem(t, res)
		}
	}
	if got := strings.Join(h.did, "|"); got != "retry" {
		t.Errorf("done: %s", got)
	}
}

func TestTokensAreExchanged(t *testing.T) {
	a := guarded(t, Options{Streams: newHouse()})
	if _, err := a.Prepare([]Token{{Name: "x", Hash: "sha256:12"}}); err == nil {
		t.Error("a broken hash was taken")
	}
	commit, err := a.Prepare([]Token{{Name: "new", Hash: hashed("new-secret")}})
	if err != nil {
		t.Fatal(err)
	}
	use := func(secret string) int {
		return ask(a, "GET", "/v1/streams", "", with("Authorization", "Bearer "+secret)).StatusCode
	}
	if use("new-secret") != 401 || use("read-secret") != 200 {
		t.Error("prepared tokens count before they are committed")
	}
	commit()
	if use("new-secret") != 200 || use("read-secret") != 401 {
		t.Error("committed tokens do not count")
	}
}

// counting lets three guesses through.
type counting struct{ left int }

func (c *counting) Take(netip.Addr) time.Duration {
	if c.left == 0 {
		return 1500 * time.Millisecond
	}
	c.left--
	return 0
}
func (c *counting) Return(netip.Addr) { c.left++ }

func TestGuessesAreLimited(t *testing.T) {
	a := guarded(t, Options{Streams: newHouse(), Guesses: &counting{3}})
	use := func(secret string) *http.Response {
		return ask(a, "GET", "/v1/streams", "", with("Authorization", "Bearer "+secret))
	}
	for range 10 {
		if res := use("read-secret"); res.StatusCode != 200 {
			t.Fatalf("a right token is limited: %d", res.StatusCode)
		}
	}
	for range 3 {
		if res := use("guess"); res.StatusCode != 401 {
			t.Fatalf("%d", res.StatusCode)
		}
	}
	res := use("read-secret")
	if res.StatusCode != 429 || res.Header.Get("Retry-After") != "2" || !strings.Contains(problem(t, res), "too many wrong tokens") {
		t.Errorf("the fourth guess is %d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
}

func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	for _, tc := range []struct {
		field, value string
		status       int
	}{
		{"Origin", "http://localhost:5081", 200}, {"Origin", "https://LOCALHOST:5081", 200}, // TLS may end before us
		{"Origin", "http://localhost:8080", 403}, {"Origin", "http://evil.example", 403}, {"Origin", "null", 403}, {"Origin", "", 403},
		{"Origin", "file://localhost:5081", 403}, {"Origin", "http://localhost:5081.evil.example", 403},
		{"Sec-Fetch-Site", "same-origin", 200}, {"Sec-Fetch-Site", "none", 200}, {"Sec-Fetch-Site", "cross-site", 403}, {"Sec-Fetch-Site", "same-site", 403},
	} {
		for method, path := range map[string]string{"GET": "/v1/streams", "POST": "/v1/uploads/retry"} {
			h := newHouse()
			res := ask(open(h), method, path, "", with(tc.field, tc.value))
			if res.StatusCode != tc.status || tc.status == 403 && len(h.did) > 0 {
				t.Errorf("%s with %s: %q is %d, wanted %d", method, tc.field, tc.value, res.StatusCode, tc.status)
			}
			if res.StatusCode != 200 {
				problem(t, res)
			}
			if res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("another site may read the answer")
			}
		}
	}
}

func TestChangesAreJSONAndBounded(t *testing.T) {
	for _, tc := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"JSON", "application/json", "", 200}, {"JSON in UTF-8", "application/json; charset=utf-8", "{}", 200},
		{"nothing", "", "", 415}, {"a form", "application/x-www-form-urlencoded", "reason=x", 415}, {"text", "text/plain", "{}", 415}, {"files", "multipart/form-data; boundary=x", "", 415},
		{"the most", "application/json", `{"reason":"x"` + strings.Repeat(" ", maxBody-len(`{"reason":"x"}`)) + "}", 200},
		{"one too many", "application/json", `{"reason":"x"` + strings.Repeat(" ", maxBody-len(`{"reason":"x"}`)+1) + "}", 413},
	} {
		h := newHouse()
		res := ask(open(h), "DELETE", "/v1/streams/live/cam", tc.body, with("Content-Type", tc.contentType))
		if res.StatusCode != tc.status || (tc.status == 200) != (len(h.did) == 1) {
			t.Errorf("%s: %d, wanted %d; done: %v", tc.name, res.StatusCode, tc.status, h.did)
		}
		if res.StatusCode != 200 {
			problem(t, res)
		}
	}
}

// Every change is logged with who made it, and no secret is.
func TestChangesAreLogged(t *testing.T) {
	var log bytes.Buffer
	var warned []string
	a := guarded(t, Options{Server: newHouse(), Log: slog.New(slog.NewTextHandler(&log, nil)), Warn: func(kind, who, _ string, _ ...any) { warned = append(warned, kind+" "+who) }})
	ask(a, "POST", "/v1/uploads/retry", "", with("Authorization", "Bearer operate-secret"))
	ask(a, "GET", "/v1/config", "", with("Authorization", "Bearer operate-secret"))
	ask(a, "GET", "/v1/config", "", with("Authorization", "Bearer guessed-secret"))
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "who=operator") || !strings.Contains(log.String(), "path=/v1/uploads/retry status=200") {
		t.Errorf("the log: %s", log.String())
	}
	if strings.Contains(log.String(), "secret") || strings.Join(warned, "|") != "api-token 127.0.0.1" {
		t.Errorf("warned of %q; the log: %s", warned, log.String())
	}
}
