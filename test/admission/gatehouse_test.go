package admission

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hlsorigin/hlsorigin/ingest/auth"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// signer signs tokens.
type signer struct {
	name string
	key  *ecdsa.PrivateKey
}

func newSigner(t *testing.T, name string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{name, key}
}

// public returns the signer's key as part of a set of public keys (RFC 7517).
func (s signer) public() map[string]string {
	point, _ := s.key.PublicKey.Bytes()
	b64 := base64.RawURLEncoding.EncodeToString
	return map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": s.name, "x": b64(point[1:33]), "y": b64(point[33:])}
}

// gatehouse is a server with every way in, and the back ends that it asks.
type gatehouse struct {
	*rig.Process
	clip string

	rtmps, rtsps, https string

	signing atomic.Pointer[[]signer] // whose public keys are served; the last signs tokens
	down    atomic.Bool              // both back ends
	secrets []string                 // none of which may appear anywhere
}

func newGatehouse(t *testing.T) *gatehouse {
	t.Helper()
	rig.Need(t, "ffmpeg")
	g := &gatehouse{clip: rig.SourceNamed("plain").Clip(t, 2*time.Second)}
	g.signing.Store(&[]signer{newSigner(t, "k1")})
	hashed := auth.NewKey()
	g.secrets = []string{"plain-s3cret", hashed, "0123456789-s3cret-0123456789-s3cret", "endpoint-s3cret", "back-end-s3cret"}
	back := httptest.NewServer(http.HandlerFunc(g.backEnds))
	t.Cleanup(back.Close)
	host := strings.TrimPrefix(back.URL, "http://")
	dir := t.TempDir()
	rig.Certify(t, dir)
	g.rtmps, g.rtsps, g.https = rig.FreeAddress(t), rig.FreeAddress(t), rig.FreeAddress(t)
	g.Process = rig.Serve(t, dir, fmt.Sprintf(`
trusted_proxies: [127.0.0.9]
rtmp: {tls: {listen: "%s", cert: cert.pem, key: key.pem}}
log: {level: debug}
rtsp: {udp_rtp: "", udp_rtcp: "", tls: {listen: "%s", cert: cert.pem, key: key.pem}}
http: {tls: {listen: "%s", cert: cert.pem, key: key.pem}}
apps:
  keyed:  {keys: {plain: plain-s3cret, hashed: "%s"}}
  signed: {auth: {jwt: {secret: 0123456789-s3cret-0123456789-s3cret, jwks: "http://u:endpoint-s3cret@%s/jwks"}}}
  called: {auth: {callback: {url: "http://u:endpoint-s3cret@%s/auth?t=endpoint-s3cret", cache: 0s}}}
  ranges: {auth: {allow: [127.0.0.5]}}
  closed: {}
`, g.rtmps, g.rtsps, g.https, auth.Hash(hashed), host, host))
	return g
}

// backEnds answers for keys and for the callback.
func (g *gatehouse) backEnds(w http.ResponseWriter, r *http.Request) {
	if _, password, _ := r.BasicAuth(); password != "endpoint-s3cret" || g.down.Load() {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	if r.URL.Path == "/jwks" {
		keys := []any{}
		for _, s := range *g.signing.Load() {
			keys = append(keys, s.public())
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
		return
	}
	var q struct{ Path, Password string }
	_ = json.NewDecoder(r.Body).Decode(&q)
	switch {
	case q.Path == "called/back-end-s3cret", q.Password == "back-end-s3cret":
		fmt.Fprint(w, `{"stream": "mapped"}`)
	case q.Path == "called/early":
		http.Error(w, "the show begins at eight", http.StatusForbidden)
	case lie(w, r, strings.TrimPrefix(q.Path, "called/"), q.Password):
	default:
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func (g *gatehouse) token(stream string, life time.Duration) string {
	c := jwt.MapClaims{"app": "signed", "stream": stream, "exp": time.Now().Add(life).Unix()}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	all := *g.signing.Load()
	by := all[len(all)-1]
	t.Header["kid"] = by.name
	s, _ := t.SignedString(by.key)
	g.secrets = append(g.secrets, s)
	return s
}

func (g *gatehouse) hmac(stream string) string {
	c := jwt.MapClaims{"app": "signed", "stream": stream, "exp": time.Now().Add(time.Hour).Unix()}
	s, _ := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(g.secrets[2]))
	g.secrets = append(g.secrets, s)
	return s
}

// publish sends a short clip to the end, and returns ffmpeg's output.
func (g *gatehouse) publish(t *testing.T, url string) (string, error) {
	t.Helper()
	format := []string{"-f", "flv"}
	if strings.HasPrefix(url, "rtsp") {
		format = []string{"-f", "rtsp", "-rtsp_transport", "tcp"} // rtsps tells by itself
	}
	args := append([]string{"-v", "verbose", "-i", g.clip, "-c", "copy"}, format...)
	out, err := exec.CommandContext(t.Context(), "ffmpeg", append(args, url)...).CombinedOutput()
	return string(out), err
}

// keepsSecrets checks that no secret appears anywhere: log, metrics, API, page, /readyz, check.
func (g *gatehouse) keepsSecrets(t *testing.T) {
	t.Helper()
	check := exec.Command(g.Cmd.Path, append([]string{"check"}, g.Args...)...)
	check.Env = g.Env
	printed, err := check.CombinedOutput()
	if err != nil {
		t.Errorf("check: %v\n%s", err, printed)
	}
	for where, text := range map[string]string{
		"log": g.Log.String(), "metrics": g.Get("http://" + g.Admin + "/metrics"), "API": g.Get("http://" + g.Admin + "/api/streams"),
		"page": g.Get("http://" + g.Admin + "/"), "readyz": g.Get("http://" + g.Admin + "/readyz"), "check": string(printed),
		"playlist": g.Get(g.URL("called/streams/mapped.m3u8")),
	} {
		for _, secret := range append(g.secrets, "s3cret") {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q", where, secret)
			}
		}
	}
}

// lie answers as a back end should not, or to harm the reader of the answer. It reports whether it did.
func lie(w http.ResponseWriter, r *http.Request, how, password string) bool {
	switch how {
	case "slow":
		<-r.Context().Done()
	case "redirect":
		http.Redirect(w, r, "/elsewhere?t=endpoint-s3cret", http.StatusFound)
	case "long":
		_, _ = io.WriteString(w, strings.Repeat(" ", 1<<20))
	case "outside":
		_, _ = io.WriteString(w, `{"stream": "../outside"}`)
	case "broken":
		panic(http.ErrAbortHandler)
	case "failing":
		http.Error(w, "SELECT failed for endpoint-s3cret", http.StatusInternalServerError)
	case "echo":
		http.Error(w, "\x1b[2J\r\nno "+password+" no", http.StatusForbidden)
	case "endless":
		http.Error(w, strings.Repeat("no ", 1000), http.StatusForbidden)
	default:
		return false
	}
	return true
}
