package cdn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// gate stands in front of the edge and lets in whom CloudFront would let in by the documents on signed URLs and signed cookies.
// Whatever a viewer brings it hands on: what of it gets into the cache key is the edge's business.
type gate struct {
	url  string // with a slash at its end
	keys map[string]crypto.PublicKey
	srv  *httptest.Server
}

// newGate knows public keys in PEM, by their IDs.
func newGate(t *testing.T, edge string, keys map[string]string) *gate {
	t.Helper()
	g := &gate{keys: map[string]crypto.PublicKey{}}
	for id, text := range keys {
		block, _ := pem.Decode([]byte(text))
		g.keys[id] = must(x509.ParsePKIXPublicKey(block.Bytes))
	}
	proxy := httputil.NewSingleHostReverseProxy(must(url.Parse(edge)))
	proxy.Transport = plainly
	g.srv = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.admit(r); err != nil {
			http.Error(w, "AccessDenied: "+err.Error(), http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(g.srv.Close)
	g.url = g.srv.URL + "/"
	return g
}

var unsafe64 = strings.NewReplacer("-", "+", "_", "=", "~", "/")

// admit is nil for a request that may pass.
func (g *gate) admit(r *http.Request) error {
	resource, brought := *r.URL, map[string]string{}
	resource.Scheme, resource.Host = "https", r.Host
	var rest []string
	for _, pair := range strings.Split(r.URL.RawQuery, "&") {
		switch name, value, _ := strings.Cut(pair, "="); name {
		case "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm":
			brought[name] = value
		case "":
		default:
			rest = append(rest, pair)
		}
	}
	resource.RawQuery = strings.Join(rest, "&")
	for _, c := range r.Cookies() {
		if name, ours := strings.CutPrefix(c.Name, "CloudFront-"); ours && brought[name] == "" {
			brought[name] = c.Value
		}
	}
	key := g.keys[brought["Key-Pair-Id"]]
	if key == nil {
		return errors.New("unknown key")
	}
	policy, err := base64.StdEncoding.DecodeString(unsafe64.Replace(brought["Policy"]))
	signature, err2 := base64.StdEncoding.DecodeString(unsafe64.Replace(brought["Signature"]))
	if err := errors.Join(err, err2); err != nil || brought["Hash-Algorithm"] != "SHA256" {
		return errors.New("malformed")
	}
	sum, good := sha256.Sum256(policy), false
	switch k := key.(type) {
	case *rsa.PublicKey:
		good = rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], signature) == nil
	case *ecdsa.PublicKey:
		good = ecdsa.VerifyASN1(k, sum[:], signature)
	}
	if !good {
		return errors.New("the signature is another's")
	}
	var said struct {
		Statement []struct {
			Resource  string
			Condition struct {
				DateLessThan struct {
					Epoch int64 `json:"AWS:EpochTime"`
				}
			}
		}
	}
	if err := json.Unmarshal(policy, &said); err != nil || len(said.Statement) != 1 {
		return errors.New("malformed policy")
	}
	pattern := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(said.Statement[0].Resource))
	switch matches, err := regexp.MatchString("^"+pattern+"$", resource.String()); {
	case err != nil || !matches:
		return errors.New("not for " + resource.String())
	case time.Now().Unix() >= said.Statement[0].Condition.DateLessThan.Epoch:
		return errors.New("expired")
	}
	return nil
}
