package cdn

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// signer is a key pair of openssl's making, and the script of deploy/cloudfront that signs with it.
type signer struct {
	t       *testing.T
	id      string
	private string // file
	public  string // file
}

func newSigner(t *testing.T, id string, kind ...string) *signer {
	t.Helper()
	rig.Need(t, "openssl")
	dir := t.TempDir()
	s := &signer{t, id, filepath.Join(dir, "private.pem"), filepath.Join(dir, "public.pem")}
	for _, args := range [][]string{append([]string{"genpkey", "-out", s.private}, kind...), {"pkey", "-in", s.private, "-pubout", "-out", s.public}} {
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v: %s", args, err, out)
		}
	}
	return s
}

func (s *signer) pem() string { return string(must(os.ReadFile(s.public))) }

// sign runs the script and gives its lines.
func (s *signer) sign(kind string, seconds int, resources ...string) []string {
	s.t.Helper()
	args := append([]string{"../../deploy/cloudfront/sign.sh", kind, s.private, s.id, fmt.Sprint(seconds)}, resources...)
	out, err := exec.Command("sh", args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("sign.sh: %v: %s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// signedViewer asks at a gate, with a browser's cookies.
type signedViewer struct {
	t      *testing.T
	gate   *gate
	client *http.Client
}

func (g *gate) viewer(t *testing.T) *signedViewer {
	t.Helper()
	jar := must(cookiejar.New(nil))
	return &signedViewer{t, g, &http.Client{Transport: g.srv.Client().Transport, Jar: jar}}
}

// login takes cookies as an answer of the site brings them.
func (v *signedViewer) login(lines []string) {
	v.t.Helper()
	res := http.Response{Header: http.Header{}}
	for _, l := range lines {
		field, ok := strings.CutPrefix(l, "Set-Cookie: ")
		if !ok {
			v.t.Fatalf("%q is no cookie", l)
		}
		res.Header.Add("Set-Cookie", field)
	}
	v.client.Jar.SetCookies(must(url.Parse(v.gate.url)), res.Cookies())
}

func (v *signedViewer) get(path string) (status int, body string) {
	v.t.Helper()
	res, err := v.client.Get(v.gate.url + path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, string(must(io.ReadAll(res.Body)))
}

// TestCDNSigned: with trusted key groups a stream plays for whom it was signed for, by cookies and by URLs, and for nobody else;
// and nothing of a signature gets into the cache key or to the server, so that two viewers are one copy.
func TestCDNSigned(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "varnishd")
	shop := newSigner(t, "K2SHOP", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
	app := newSigner(t, "K2APP", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	thief := newSigner(t, shop.id, "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
	p := rig.Serve(t, t.TempDir(), behindEdge)
	r := rulesFor(t, p, false, "-public-key", shop.public, "-public-key", app.public)
	if !r.Signed {
		t.Fatal("the printed template has a behavior that needs no signature")
	}
	c := frontOf(t, r, p.HTTP, "")
	g := newGate(t, c.url, map[string]string{shop.id: shop.pem(), app.id: app.pem()})
	rig.Shoot(t, p, "cam")
	live := c.playable(t, "cam", 30*time.Second)
	start := "start=" + c.begin(t, live)

	// What the guide says for one stream: its entry, and what lies below it.
	cookies := func(s *signer, stream string, seconds int) []string {
		return s.sign("cookies", seconds, g.url+"streams/"+stream+".m3u8*", g.url+"streams/"+stream+"/*")
	}
	plays := func(v *signedViewer, query string) (segment string) {
		t.Helper()
		and := func(path string) string {
			switch {
			case query == "":
				return path
			case strings.Contains(path, "?"):
				return path + "&" + query
			}
			return path + "?" + query
		}
		status, body := v.get(and("streams/cam.m3u8"))
		if status != http.StatusOK {
			t.Fatalf("the entry: %d %s", status, body)
		}
		live := "streams/" + lastLine(body)
		status, body = v.get(and(live))
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", live, status, body)
		}
		segment = rig.Resolve(live, lastLine(body))
		if status, body = v.get(and(segment)); status != http.StatusOK || len(body)%188 != 0 {
			t.Fatalf("%s: %d, %d bytes", segment, status, len(body))
		}
		return segment
	}
	first, second := g.viewer(t), g.viewer(t)
	first.login(cookies(shop, "cam", 600))
	second.login(cookies(app, "cam", 900))
	segment := plays(first, "")
	if status, _ := second.get(segment); status != http.StatusOK {
		t.Errorf("the other viewer's segment: %d", status)
	}
	plays(second, "")
	third := g.viewer(t)
	query := app.sign("url", 600, g.url+"streams/cam*")[0]
	plays(third, query)
	if status, body := third.get("streams/cam.m3u8?" + start + "&" + query); status != http.StatusOK {
		t.Errorf("a signed URL with a parameter of ours: %d %s", status, body)
	}
	c.tap.saw(t, "cam.m3u8?"+start)
	if n := c.tap.log.of("/" + segment); n != 1 {
		t.Errorf("the server was asked for one segment %d times", n)
	}

	late, fake := g.viewer(t), g.viewer(t)
	late.login(cookies(shop, "cam", -1))
	fake.login(cookies(thief, "cam", 600))
	for _, x := range []struct {
		who  string
		v    *signedViewer
		path string
	}{
		{"nobody", g.viewer(t), segment}, {"nobody", g.viewer(t), "streams/cam.m3u8"},
		{"too late", late, segment}, {"another key", fake, segment}, {"another stream", first, "streams/cam2.m3u8"},
		{"another stream with a like name", first, "streams/cam2/2026-01-01_00-00-00.000/000000000.ts"},
		{"a changed policy", g.viewer(t), segment + "?" + strings.Replace(query, "Policy=e", "Policy=f", 1)},
	} {
		if status, body := x.v.get(x.path); status != http.StatusForbidden {
			t.Errorf("%s gets %s: %d %s", x.who, x.path, status, body)
		}
	}
	for _, v := range c.tap.log.since(time.Time{}) {
		for _, word := range []string{"Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"} {
			if strings.Contains(v.key, word) {
				t.Errorf("the server was asked for %s", v.key)
			}
		}
		if v.fields.Get("Cookie") != "" {
			t.Errorf("%s came with cookies", v.key)
		}
	}
	for _, f := range c.tap.excess(c.rules) {
		t.Error(f)
	}
}
