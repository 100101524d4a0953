package auth

import (
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest"
)

func TestHashedKeysStandBesidePlain(t *testing.T) {
	secret := NewKey()
	if len(secret) != 32 || strings.ContainsAny(secret, "/?&#+= ") || NewKey() == secret {
		t.Fatalf("key %q", secret)
	}
	a, err := New(Options{Apps: map[string]App{"live": {Keys: map[string]string{"cam": Hash(secret), "stage": "plain"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]ingest.Request{
		"as name": {Name: secret}, "as password": {Name: "cam", Password: secret},
	} {
		r.App = "live"
		if g, err := a.Authorize(t.Context(), r); err != nil || g.Stream != "cam" {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
	if g, err := a.Authorize(t.Context(), ingest.Request{App: "live", Name: "plain"}); err != nil || g.Stream != "stage" {
		t.Errorf("plain: %+v, %v", g, err)
	}
	if _, err := a.Authorize(t.Context(), ingest.Request{App: "live", Name: Hash(secret)}); err == nil {
		t.Error("the hash itself opens")
	}
	if p, ok, digest := a.Password("live", "cam"); p != "" || ok || !digest {
		t.Errorf("a hashed key has the password %q, %v, %v", p, ok, digest)
	}
	if p, ok, _ := a.Password("live", "stage"); p != "plain" || !ok {
		t.Errorf("a plain key has the password %q, %v", p, ok)
	}
}

func TestBadHashes(t *testing.T) {
	good := Hash("x")
	for want, keys := range map[string]map[string]string{
		"64 hexadecimal": {"cam": good[:len(good)-1]},
		"cam: after":     {"cam": good + "0"},
		"after sha256:":  {"cam": "sha256:" + strings.Repeat("z", 64)},
		"a and b have":   {"a": good, "b": "x"},
	} {
		if _, err := New(Options{Apps: map[string]App{"live": {Keys: keys}}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", keys, err)
		}
	}
}

// FuzzKey checks that a readable hash matches only the key it was made from.
func FuzzKey(f *testing.F) {
	f.Add("secret")
	f.Add(Hash("secret"))
	f.Add("sha256:")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := parseKey(s)
		if err != nil {
			return
		}
		if strings.HasPrefix(s, hashPrefix) != (k.plain == "") {
			t.Errorf("%q is kept as %q", s, k.plain)
		}
		if h, err := parseKey(Hash(s)); err != nil || k.plain != "" && h.secret != k.secret {
			t.Errorf("%q: its hash is another", s)
		}
	})
}
