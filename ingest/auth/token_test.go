package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hlsorigin/hlsorigin/ingest"
)

const hmacSecret = "0123456789abcdef0123456789abcdef"

// signer signs tokens and has a public key.
type signer struct {
	method jwt.SigningMethod
	key    any
	public map[string]string // JWK
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func newSigner(t testing.TB, alg, kid string) signer {
	t.Helper()
	var err error
	var s signer
	switch alg {
	case "RS256":
		var k *rsa.PrivateKey
		k, err = rsa.GenerateKey(rand.Reader, 2048)
		s = signer{jwt.SigningMethodRS256, k, map[string]string{"kty": "RSA", "n": b64(k.N.Bytes()), "e": "AQAB"}}
	case "ES256":
		var k *ecdsa.PrivateKey
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		point, perr := k.PublicKey.Bytes()
		err = errors.Join(err, perr)
		s = signer{jwt.SigningMethodES256, k, map[string]string{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}}
	case "EdDSA":
		var k ed25519.PrivateKey
		_, k, err = ed25519.GenerateKey(rand.Reader)
		s = signer{jwt.SigningMethodEdDSA, k, map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(k.Public().(ed25519.PublicKey))}}
	default:
		s = signer{jwt.SigningMethodHS256, []byte(hmacSecret), map[string]string{}}
	}
	if err != nil {
		t.Fatal(err)
	}
	s.public["kid"], s.public["alg"], s.public["use"] = kid, alg, "sig"
	return s
}

func (s signer) sign(t testing.TB, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(s.method, c)
	token.Header["kid"] = s.public["kid"]
	text, err := token.SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// keyHost serves public keys over HTTP while it is up.
type keyHost struct {
	*httptest.Server
	keys atomic.Pointer[[]map[string]string]
	down atomic.Bool
	asks atomic.Int64
}

func newKeyHost(t testing.TB, signers ...signer) *keyHost {
	h := &keyHost{}
	h.set(signers...)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.asks.Add(1)
		if h.down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": *h.keys.Load()})
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *keyHost) set(signers ...signer) {
	var all []map[string]string
	for _, s := range signers {
		all = append(all, s.public)
	}
	h.keys.Store(&all)
}

func good(r *rig) jwt.MapClaims {
	return jwt.MapClaims{"app": "live", "stream": "cam", "exp": r.clock.Add(time.Hour).Unix()}
}

func TestTokens(t *testing.T) {
	for _, alg := range []string{"HS256", "RS256", "ES256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			s := newSigner(t, alg, "k1")
			host := newKeyHost(t, s)
			j := JWT{JWKS: host.URL, Algorithms: []string{alg}}
			if alg == "HS256" {
				j = JWT{Secret: hmacSecret, Algorithms: []string{alg}}
			}
			r := newRig(t, map[string]App{"live": {JWT: j}})
			for name, tc := range map[string]struct {
				change jwt.MapClaims
				sent   string // the name beside the token; empty: the token itself
				want   string // the stream, or words of the refusal
			}{
				"stream":             {nil, "", "cam"},
				"stream and name":    {nil, "cam", "cam"},
				"another name":       {nil, "other", "for another stream"},
				"another app":        {jwt.MapClaims{"app": "events"}, "", "for another app"},
				"no app":             {jwt.MapClaims{"app": nil}, "", "must name an app"},
				"no stream":          {jwt.MapClaims{"stream": nil}, "cam", "must name an app and a stream"},
				"pattern":            {jwt.MapClaims{"stream": "cam-*"}, "cam-7", "cam-7"},
				"outside of it":      {jwt.MapClaims{"stream": "cam-*"}, "stage", "for another stream"},
				"pattern and nobody": {jwt.MapClaims{"stream": "cam-*"}, "", "name one"},
				"bad pattern":        {jwt.MapClaims{"stream": "cam["}, "cam", "for another stream"},
				"bad name":           {jwt.MapClaims{"stream": "a b"}, "", "cannot name a stream"},
				"expired":            {jwt.MapClaims{"exp": r.clock.Add(-time.Minute).Unix()}, "", "has expired"},
				"no exp":             {jwt.MapClaims{"exp": nil}, "", "has no exp"},
				"not yet":            {jwt.MapClaims{"nbf": r.clock.Add(time.Minute).Unix()}, "", "not valid yet"},
				"a clock apart":      {jwt.MapClaims{"nbf": r.clock.Add(5 * time.Second).Unix()}, "", "cam"},
			} {
				c := good(r)
				for k, v := range tc.change {
					if c[k] = v; v == nil {
						delete(c, k)
					}
				}
				token := s.sign(t, c)
				requests := map[string]ingest.Request{
					"query":    {Protocol: "rtmp", Name: tc.sent, Token: token},
					"password": {Protocol: "rtsp", Name: tc.sent, User: "x", Password: token},
				}
				if tc.sent == "" {
					requests["stream key"] = ingest.Request{Protocol: "rtmp", Name: token}
				}
				for way, q := range requests {
					q.App, q.Remote = "live", "198.51.100.3:1"
					g, err := r.Authorize(t.Context(), q)
					switch {
					case err == nil && g.Stream != tc.want, err == nil && g.Identity != tc.want:
						t.Errorf("%s by %s: %+v", name, way, g)
					case err != nil && !strings.Contains(err.Error(), tc.want):
						t.Errorf("%s by %s: %v", name, way, err)
					case err != nil && strings.Contains(err.Error(), token):
						t.Errorf("%s by %s shows the token", name, way)
					}
				}
			}
		})
	}
}

// TestTokensThatAreNotOurs checks that all foreign tokens get the same answer, which does not say why.
func TestTokensThatAreNotOurs(t *testing.T) {
	ours, other := newSigner(t, "RS256", "k1"), newSigner(t, "RS256", "k1")
	host := newKeyHost(t, ours)
	r := newRig(t, map[string]App{
		"live":   {JWT: JWT{JWKS: host.URL, Algorithms: []string{"RS256", "ES256", "EdDSA"}}},
		"secret": {JWT: JWT{Secret: hmacSecret, Algorithms: []string{"HS256"}}},
	})
	none := jwt.NewWithClaims(jwt.SigningMethodNone, good(r))
	unsigned, err := none.SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	// The public key used as a secret: the attack on a server that lets the token choose the algorithm.
	confused := signer{jwt.SigningMethodHS256, []byte(ours.public["n"]), map[string]string{"kid": "k1"}}
	right := ours.sign(t, good(r))
	for name, token := range map[string]string{
		"another's key": other.sign(t, good(r)),
		"none":          unsigned,
		"confusion":     confused.sign(t, good(r)),
		"cut":           right[:len(right)-4],
		"no token":      "ey.J.x",
		"changed":       strings.Replace(right, ".", ".ey", 1),
	} {
		for _, app := range []string{"live", "secret"} {
			r.clock = r.clock.Add(10 * time.Minute)
			if _, err := r.Authorize(t.Context(), ingest.Request{Protocol: "rtmp", App: app, Token: token, Remote: remote}); err == nil || err.Error() != "this key is not known here" {
				t.Errorf("%s for %s: %v", name, app, err)
			}
		}
	}
	if _, ok := ours.key.(crypto.Signer); !ok {
		t.Error("no signer")
	}
}

// TestKeyRotation checks that a new key is fetched when the first token names it, that the old copy survives an outage, and that tokens
// naming unknown keys cost few requests.
func TestKeyRotation(t *testing.T) {
	first, second := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k2")
	host := newKeyHost(t, first)
	r := newRig(t, map[string]App{"live": {JWT: JWT{JWKS: host.URL, Algorithms: []string{"ES256"}}}})
	ask := func(s signer) error {
		_, err := r.Authorize(t.Context(), ingest.Request{Protocol: "rtmp", App: "live", Token: s.sign(t, good(r)), Remote: remote})
		return err
	}
	if err := ask(first); err != nil {
		t.Fatal(err)
	}
	r.clock = r.clock.Add(time.Minute)
	host.set(first, second)
	if err := ask(second); err != nil {
		t.Errorf("the new key: %v", err)
	}
	r.clock = r.clock.Add(time.Minute)
	host.down.Store(true)
	stranger := newSigner(t, "ES256", "k3")
	if err := ask(stranger); err == nil || err.Error() != "this key is not known here" {
		t.Errorf("a stranger's key in an outage: %v", err)
	}
	before := host.asks.Load()
	for range 100 {
		_ = ask(stranger)
	}
	if n := host.asks.Load() - before; n > 1 {
		t.Errorf("%d requests for keys that nobody has", n)
	}
	r.clock = r.clock.Add(24 * time.Hour)
	for _, s := range []signer{first, second} {
		if err := ask(s); err != nil {
			t.Errorf("in the outage: %v", err)
		}
	}
	if n := r.Stats.JWKSFailures.Load(); n == 0 {
		t.Error("the outage is not counted")
	}
	if !strings.Contains(r.log.String(), "last good copy stays") {
		t.Errorf("the log is\n%s", &r.log)
	}
}

func TestNoKeysYet(t *testing.T) {
	s := newSigner(t, "ES256", "k1")
	host := newKeyHost(t, s)
	host.down.Store(true)
	r := newRig(t, map[string]App{"live": {JWT: JWT{JWKS: host.URL, Algorithms: []string{"ES256"}}}})
	q := ingest.Request{Protocol: "rtmp", App: "live", Token: s.sign(t, good(r)), Remote: remote}
	if k := r.kind(t, q); k != ingest.Overloaded {
		t.Errorf("without keys: %v", k)
	}
	host.down.Store(false)
	r.clock = r.clock.Add(jwksLeast)
	if k := r.kind(t, q); k != 0 {
		t.Errorf("when they are there: %v", k)
	}
}

// TestBadKeySets checks that bad key sets are rejected and do not replace a good one.
func TestBadKeySets(t *testing.T) {
	s := newSigner(t, "ES256", "k1")
	body := atomic.Pointer[string]{}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(*body.Load())) }))
	defer h.Close()
	raw, err := json.Marshal(map[string]any{"keys": []any{s.public}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, map[string]App{"live": {JWT: JWT{JWKS: h.URL, Algorithms: []string{"ES256"}}}})
	for _, b := range []string{string(raw), "", "{}", `{"keys": []}`, `{"keys": [1]}`, "<html>", `{"keys": [` + strings.Repeat(" ", jwksMax) + `]}`} {
		body.Store(&b)
		_ = r.settings.Load().jwks[h.URL].fetch(t.Context(), 0)
		if k := r.kind(t, ingest.Request{Protocol: "rtmp", App: "live", Token: s.sign(t, good(r)), Remote: remote}); k != 0 {
			t.Errorf("after %.20q: %v", b, k)
		}
	}
}

// FuzzToken checks that nothing but a signature of ours is accepted.
func FuzzToken(f *testing.F) {
	a, err := New(Options{Apps: map[string]App{"live": {JWT: JWT{Secret: hmacSecret, Algorithms: []string{"HS256"}}}}})
	if err != nil {
		f.Fatal(err)
	}
	s := newSigner(f, "HS256", "")
	right := s.sign(f, jwt.MapClaims{"app": "live", "stream": "cam", "exp": time.Now().Add(time.Hour).Unix()})
	f.Add(right[:len(right)-1])
	f.Add("eyJhbGciOiJub25lIn0.eyJhcHAiOiJsaXZlIn0.")
	f.Add("ey..")
	f.Fuzz(func(t *testing.T, token string) {
		_, _, why, err := a.settings.Load().apps["live"].tokens.judge(t.Context(), ingest.Request{App: "live"}, token, a.valid)
		if err == nil && token != right {
			t.Errorf("%q opens", token)
		}
		if err != nil && why.Granted() {
			t.Errorf("%q: %v with %v", token, why, err)
		}
	})
}
