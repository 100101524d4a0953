package auth

import (
	"context"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// FuzzKeySet checks that no answer from a key host makes the server panic, and that no symmetric key is taken from it.
func FuzzKeySet(f *testing.F) {
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`, "k", "ES256")
	f.Add(`{"keys":[{"kty":"RSA","alg":"RS256","kid":"k","n":"0vx7agoebGcQ","e":"AQAB"}]}`, "k", "RS256")
	f.Add(`{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`, "k", "EdDSA")
	f.Add(`{"keys":[{"kty":"oct","kid":"k","k":"c2VjcmV0"}]}`, "k", "HS256")
	f.Add(`{"keys":[{}]}`, "", "none")
	f.Fuzz(func(t *testing.T, raw, kid, algorithm string) {
		keys, err := readKeySet([]byte(raw))
		if err != nil {
			if s := err.Error(); len(s) > 100 || strings.ContainsAny(s, "\r\n") {
				t.Errorf("the error shows what came: %q", s)
			}
			return
		}
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{})
		token.Header["kid"], token.Header["alg"] = kid, algorithm
		if key, err := publicKey(context.Background(), keys, token); err == nil {
			if _, symmetric := key.([]byte); symmetric {
				t.Errorf("a symmetric key for %q", algorithm)
			}
		}
	})
}
