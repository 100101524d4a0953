package admission

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hlsorigin/hlsorigin/ingest/auth"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// gatehouse is a server with every way in, and the back ends that it asks.
type gatehouse struct {
	*rig.Process
	clip string

	rtmps, rtsps, https string

	signing *ecdsa.PrivateKey
	down    atomic.Bool // both back ends
	secrets []string    // none of which may be seen anywhere
}

func newGatehouse(t *testing.T) *gatehouse {
	t.Helper()
	rig.Need(t, "ffmpeg")
	g := &gatehouse{clip: rig.SourceNamed("plain").Clip(t, 2*time.Second)}
	var err error
	if g.signing, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	hashed := auth.NewKey()
	g.secrets = []string{"plain-s3cret", hashed, "0123456789-s3cret-0123456789-s3cret", "endpoint-s3cret", "back-end-s3cret"}
	back := httptest.NewServer(http.HandlerFunc(g.backEnds))
	t.Cleanup(back.Close)
	host := strings.TrimPrefix(back.URL, "http://")
	dir := t.TempDir()
	g.certify(t, dir)
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

// certify writes a certificate for this machine, signed by itself.
func (g *gatehouse) certify(t *testing.T, dir string) {
	t.Helper()
	c := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, &c, &c, &g.signing.PublicKey, g.signing)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(g.signing)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// backEnds answers for keys and for the callback.
func (g *gatehouse) backEnds(w http.ResponseWriter, r *http.Request) {
	if _, password, _ := r.BasicAuth(); password != "endpoint-s3cret" || g.down.Load() {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	if r.URL.Path == "/jwks" {
		point, _ := g.signing.PublicKey.Bytes()
		b64 := base64.RawURLEncoding.EncodeToString
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1", "x": b64(point[1:33]), "y": b64(point[33:]),
		}}})
		return
	}
	var q struct{ Path, Password string }
	_ = json.NewDecoder(r.Body).Decode(&q)
	switch {
	case q.Path == "called/back-end-s3cret", q.Password == "back-end-s3cret":
		fmt.Fprint(w, `{"stream": "mapped"}`)
	case q.Path == "called/early":
		http.Error(w, "the show begins at eight", http.StatusForbidden)
	default:
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func (g *gatehouse) token(stream string, life time.Duration) string {
	c := jwt.MapClaims{"app": "signed", "stream": stream, "exp": time.Now().Add(life).Unix()}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	t.Header["kid"] = "k1"
	s, _ := t.SignedString(g.signing)
	g.secrets = append(g.secrets, s)
	return s
}

func (g *gatehouse) hmac(stream string) string {
	c := jwt.MapClaims{"app": "signed", "stream": stream, "exp": time.Now().Add(time.Hour).Unix()}
	s, _ := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(g.secrets[2]))
	g.secrets = append(g.secrets, s)
	return s
}

// publish sends a short clip to the end, and gives what ffmpeg said of it.
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

// TestAdmission lets real encoders in by each way there is, and shows each refusal its words; no secret is seen anywhere.
func TestAdmission(t *testing.T) {
	g := newGatehouse(t)
	rtmp, rtsp := "rtmp://"+g.RTMP+"/", "rtsp://"+g.RTSP+"/"
	hashed := g.secrets[1]
	withUser := func(user, password, path string) string {
		return "rtsp://" + user + ":" + password + "@" + g.RTSP + "/" + path
	}
	for _, tc := range []struct {
		name, url string
		outcome   string // in the metric
		words     string // that the encoder is shown; empty: it is let in
	}{
		{"plain key", rtmp + "keyed/plain-s3cret", "key", ""},
		{"hashed key", rtmp + "keyed/" + hashed, "key", ""},
		{"name and key", rtmp + "keyed/hashed?key=" + hashed, "key", ""},
		{"wrong key", rtmp + "keyed/wrong-s3cret", "wrong_key", "this key is not known here"},
		{"token as stream key", rtmp + "signed/" + g.token("cam", time.Hour), "token", ""},
		{"token in the query", rtmp + "signed/cam-1?token=" + g.token("cam-*", time.Hour), "token", ""},
		{"token by HS256", rtmp + "signed/cam?jwt=" + g.hmac("cam"), "token", ""},
		{"old token", rtmp + "signed/cam?token=" + g.token("cam", -time.Hour), "bad_token", "the token has expired"},
		{"token for another stream", rtmp + "signed/stage?token=" + g.token("cam", time.Hour), "bad_token", "for another stream"},
		{"token cut", rtmp + "signed/cam?token=" + g.token("cam", time.Hour)[:90], "wrong_key", "this key is not known here"},
		{"callback", rtmp + "called/back-end-s3cret", "callback", ""},
		{"callback with a reason", rtmp + "called/early", "denied", "the show begins at eight"},
		{"callback without", rtmp + "called/nobody", "denied", "this key is not known here"},
		{"address", rtmp + "ranges/cam", "wrong_address", "127.0.0.1 is none of them"},
		{"this machine", rtmp + "closed/cam", "open", ""},
		{"RTSP Digest", withUser("plain", "plain-s3cret", "keyed/plain"), "key", ""},
		{"RTSP query", rtsp + "keyed/hashed?key=" + hashed, "key", ""},
		{"RTSP token", rtsp + "signed/cam?token=" + g.token("cam", time.Hour), "token", ""},
		{"RTSP callback", withUser("u", "back-end-s3cret", "called/cam"), "callback", ""},
		{"RTSP wrong", withUser("u", "wrong-s3cret", "keyed/plain"), "wrong_key", "this key is not known here"},
		{"RTSP callback with a reason", rtsp + "called/early?key=x", "denied", "the show begins at eight"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			series := fmt.Sprintf(`hlsorigin_ingest_auth_total{granted="%v",outcome="%s"}`, tc.words == "", tc.outcome)
			before := g.Metric(series)
			out, err := g.publish(t, tc.url)
			if (err == nil) != (tc.words == "") || !strings.Contains(out, tc.words) {
				t.Errorf("%v\n%s", err, out)
			}
			if after := g.Metric(series); after != before+1 {
				t.Errorf("%s went from %v to %v", series, before, after)
			}
		})
	}
	t.Run("GStreamer", func(t *testing.T) { g.gstreamer(t) })
	if !strings.Contains(g.Get("http://"+g.Admin+"/api/streams"), `"mapped"`) {
		t.Error("the callback's name is not the stream's")
	}
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

// gstreamer sends a token as an RTSP password, which FFmpeg cuts, and keys over RTMP.
func (g *gatehouse) gstreamer(t *testing.T) {
	rig.Need(t, "gst-launch-1.0")
	const video = "-q videotestsrc num-buffers=20 ! video/x-raw,width=64,height=64,framerate=10/1 ! x264enc tune=zerolatency speed-preset=ultrafast ! h264parse ! "
	for name, sink := range map[string]string{
		"token":      "rtspclientsink protocols=tcp user-id=x user-pw=" + g.token("cam", time.Hour) + " location=rtsp://" + g.RTSP + "/signed/cam",
		"digest":     "rtspclientsink protocols=tcp user-id=plain user-pw=plain-s3cret location=rtsp://" + g.RTSP + "/keyed/plain",
		"rtmp key":   "flvmux streamable=true ! rtmp2sink location=rtmp://" + g.RTMP + "/keyed/" + g.secrets[1],
		"rtmp query": "flvmux streamable=true ! rtmp2sink location=rtmp://" + g.RTMP + "/signed/cam?token=" + g.token("cam", time.Hour),
	} {
		granted := func() float64 {
			return g.Metric(`hlsorigin_ingest_auth_total{granted="true",outcome="key"}`) + g.Metric(`hlsorigin_ingest_auth_total{granted="true",outcome="token"}`)
		}
		before := granted()
		if out, err := exec.CommandContext(t.Context(), "gst-launch-1.0", strings.Fields(video+sink)...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if granted() != before+1 {
			t.Errorf("%s was not let in", name)
		}
	}
}

// TestAdmissionOutage takes the back ends away from a running publisher: it stays, and who comes is refused and told so.
func TestAdmissionOutage(t *testing.T) {
	g := newGatehouse(t)
	clip := rig.SourceNamed("plain").Clip(t, 20*time.Second)
	rig.Push(t, clip, "rtmp://"+g.RTMP+"/called/back-end-s3cret")
	rig.Push(t, clip, "rtmp://"+g.RTMP+"/signed/"+g.token("cam", time.Hour))
	publishers := `hlsorigin_ingest_publishers{protocol="rtmp"}`
	rig.Eventually(t, 10*time.Second, "both publish", func() bool { return g.Metric(publishers) == 2 })
	g.down.Store(true)
	out, err := g.publish(t, "rtmp://"+g.RTMP+"/called/other")
	if err == nil || !strings.Contains(out, "cannot ask now") {
		t.Errorf("without the back end: %v\n%s", err, out)
	}
	if out, err := g.publish(t, "rtmp://"+g.RTMP+"/signed/two?token="+g.token("two", time.Hour)); err != nil {
		t.Errorf("with the last good keys: %v\n%s", err, out)
	}
	frames := g.Metric("hlsorigin_segmenter_frames_total")
	rig.Eventually(t, 5*time.Second, "frames go on", func() bool { return g.Metric("hlsorigin_segmenter_frames_total") > frames+50 })
	if n := g.Metric(publishers); n != 2 {
		t.Errorf("%v publishers", n)
	}
	if n := strings.Count(g.Log.String(), "auth.callback does not answer"); n != 1 {
		t.Errorf("the outage is logged %d times", n)
	}
}

// tunnel is a proxy that connects from 127.0.0.9 and begins with a header.
func tunnel(t *testing.T, to, header string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
			s, err := d.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			fmt.Fprint(s, header)
			all.Go(func() { _, _ = io.Copy(s, c); _ = s.(*net.TCPConn).CloseWrite() })
			all.Go(func() { _, _ = io.Copy(c, s); _ = c.Close(); _ = s.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return l.Addr().String()
}

// TestBehindProxy holds that nobody behind a local proxy is taken for this machine, over any protocol, and that an address
// that a stranger claims is not believed.
func TestBehindProxy(t *testing.T) {
	g := newGatehouse(t)
	const far, near, member = "PROXY TCP4 203.0.113.9 127.0.0.1 4000 1935\r\n", "PROXY TCP4 127.0.0.1 127.0.0.1 4000 1935\r\n", "PROXY TCP4 127.0.0.5 127.0.0.1 4000 1935\r\n"
	for name, tc := range map[string]struct {
		header, path string
		let          bool
	}{
		"from afar": {far, "/closed/cam", false}, "unknown": {"PROXY UNKNOWN\r\n", "/closed/cam2", false}, "none": {"", "/closed/cam3", false},
		"from here": {near, "/closed/cam4", true}, "in the ranges": {member, "/ranges/cam", true},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := g.publish(t, "rtmp://"+tunnel(t, g.RTMP, tc.header)+tc.path); (err == nil) != tc.let {
				t.Errorf("RTMP: %v\n%s", err, out)
			}
			if out, err := g.publish(t, "rtsp://"+tunnel(t, g.RTSP, tc.header)+tc.path); (err == nil) != tc.let {
				t.Errorf("RTSP: %v\n%s", err, out)
			}
			if out, err := g.publish(t, "rtmps://"+tunnel(t, g.rtmps, tc.header)+tc.path+"_s"); (err == nil) != tc.let {
				t.Errorf("RTMPS: %v\n%s", err, out)
			}
			if out, err := g.publish(t, "rtsps://"+tunnel(t, g.rtsps, tc.header)+tc.path+"_t"); (err == nil) != tc.let {
				t.Errorf("RTSPS: %v\n%s", err, out)
			}
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
			for scheme, to := range map[string]string{"http": g.HTTP, "https": g.https} {
				res, err := client.Get(scheme + "://" + tunnel(t, to, tc.header) + "/healthz")
				if err == nil {
					_ = res.Body.Close()
				}
				if (err == nil) != (tc.header != "") {
					t.Errorf("%s: %v", scheme, err)
				}
			}
		})
	}
	c, err := net.Dial("tcp", g.RTMP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, near)
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a stranger's header is answered")
	}
	if !strings.Contains(g.Log.String(), "203.0.113.9") {
		t.Error("the log does not say who was refused")
	}
}
