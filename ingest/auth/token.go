package auth

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// JWT is how an app's signed tokens (RFC 7519) are checked. Without Secret and JWKS no token is accepted.
type JWT struct {
	Secret     string   // for HS256
	JWKS       string   // URL of the public keys for the other algorithms (RFC 7517)
	Algorithms []string // accepted: HS256, RS256, ES256, EdDSA. The token has no say in it
}

func (j JWT) set() bool { return j.Secret != "" || j.JWKS != "" }

// clockLeeway is how far the signer's clock may be off.
const clockLeeway = 10 * time.Second

// claims are what a token says: its holder may publish stream, a name or a pattern for path.Match, to app, until exp and not before nbf.
// App, stream and exp are required.
type claims struct {
	App    string `json:"app"`
	Stream string `json:"stream"`
	jwt.RegisteredClaims
}

// tokens checks the tokens of an app.
type tokens struct {
	secret []byte
	keys   *jwks // nil if there is no URL
	parser *jwt.Parser
	// lasting also accepts tokens that have expired, for publishers that were admitted before.
	lasting *jwt.Parser
}

func newTokens(j JWT, keys *jwks, now func() time.Time) *tokens {
	return &tokens{
		secret: []byte(j.Secret), keys: keys,
		parser:  jwt.NewParser(jwt.WithValidMethods(j.Algorithms), jwt.WithExpirationRequired(), jwt.WithLeeway(clockLeeway), jwt.WithTimeFunc(now)),
		lasting: jwt.NewParser(jwt.WithValidMethods(j.Algorithms), jwt.WithoutClaimsValidation()),
	}
}

// tokenOf finds the token in a request: in the query, as the password, or as the stream key.
func tokenOf(r ingest.Request) string {
	for _, s := range []string{r.Token, r.Password, r.Name} {
		if strings.HasPrefix(s, "ey") && strings.Count(s, ".") == 2 { // a JSON object in base64
			return s
		}
	}
	return ""
}

var errNoKeysYet = errors.New("the public keys could not be fetched")

// judge checks a token for a request. It returns an empty stream if the token is refused. ours reports whether the token has a valid
// signature of ours, so that no other method needs to be tried.
func (t *tokens) judge(ctx context.Context, r ingest.Request, token string, valid func(string) bool) (stream string, ours bool, why Outcome, err error) {
	return t.judgeWith(ctx, t.parser, r, token, valid)
}

// judgeLasting is judge for a publisher that the token has admitted before.
func (t *tokens) judgeLasting(ctx context.Context, r ingest.Request, token string, valid func(string) bool) (stream string, ours bool, why Outcome, err error) {
	return t.judgeWith(ctx, t.lasting, r, token, valid)
}

func (t *tokens) judgeWith(ctx context.Context, parser *jwt.Parser, r ingest.Request, token string, valid func(string) bool) (stream string, ours bool, why Outcome, err error) {
	var c claims
	_, err = parser.ParseWithClaims(token, &c, func(parsed *jwt.Token) (any, error) {
		switch {
		case parsed.Method.Alg() == jwt.SigningMethodHS256.Alg() && len(t.secret) > 0:
			return t.secret, nil
		case parsed.Method.Alg() != jwt.SigningMethodHS256.Alg() && t.keys != nil:
			return t.keys.key(ctx, parsed)
		}
		return nil, jwt.ErrTokenUnverifiable
	})
	refuse := func(words string) (string, bool, Outcome, error) {
		return "", true, BadToken, ingest.Refuse(ingest.Unauthorized, "%s", words)
	}
	switch {
	case errors.Is(err, errNoKeysYet):
		return "", true, Unasked, ingest.Refuse(ingest.Overloaded, "tokens cannot be checked now: try again later")
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse("the token has expired: get a new one")
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuse("the token is not valid yet")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return refuse("the token has no exp")
	case err != nil:
		return "", false, WrongKey, errUnknownKey()
	case c.App == "" || c.Stream == "":
		return refuse("the token must name an app and a stream")
	case c.App != r.App:
		return refuse("the token is for another app")
	}
	name := r.Name
	if name == token {
		name = ""
	}
	literal := !strings.ContainsAny(c.Stream, `*?[\`)
	if name == "" && literal {
		name = c.Stream
	}
	switch fits, err := path.Match(c.Stream, name); {
	case name == "":
		return refuse("the token is for several streams: name one, as in NAME?token=TOKEN")
	case err != nil || !fits:
		return refuse("the token is for another stream")
	case !valid(name):
		return refuse("this name cannot name a stream: " + grammar)
	}
	return name, true, GrantedToken, nil
}
