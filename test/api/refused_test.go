package api

import (
	"errors"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// newToken returns a token and its hash, as printed by `hlsorigin keys new`.
func newToken(t *testing.T) (token, hash string) {
	t.Helper()
	path, err := rig.Program()
	if err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(path, "keys", "new").CombinedOutput()
	m := regexp.MustCompile(`key\s+(\S+)\nhash\s+(\S+)`).FindSubmatch(said)
	if err != nil || m == nil {
		t.Fatalf("keys new: %v %s", err, said)
	}
	return string(m[1]), string(m[2])
}

// TestRefused sends requests of callers without rights. Nothing is done for any of them.
func TestRefused(t *testing.T) {
	p := rig.Serve(t, t.TempDir(), rig.Brisk)
	c := &client{t: t, p: p, used: map[string]bool{}}
	reading, read := newToken(t)
	operating, operate := newToken(t)
	settings := rig.Brisk + "admin: {tokens: [{name: reader, hash: \"" + read + "\", scope: read}, {name: operator, hash: \"" + operate + "\", scope: operate}]}\n"
	c.write(settings)
	c.ask(200, "POST", "/v1/reload", "") // from this machine, as long as there are no tokens

	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, tc := range []struct {
		name, token, method, target, body string
		change                            func(*http.Request)
		status                            int
	}{
		{"no token", "", "GET", "/v1/streams", "", nil, 401},
		{"no token for the description", "", "GET", "/openapi.json", "", nil, 401},
		{"a wrong token", "wrong", "GET", "/v1/streams", "", nil, 401},
		{"a right one", reading, "GET", "/v1/streams", "", nil, 200},
		{"one that may only read", reading, "POST", "/v1/uploads/retry", "", nil, 403},
		{"one that may change", operating, "POST", "/v1/uploads/retry", "", nil, 200},
		{"a page of another site", operating, "POST", "/v1/uploads/retry", "", header("Origin", "http://evil.example"), 403},
		{"a page of ours", operating, "POST", "/v1/uploads/retry", "", header("Origin", "http://"+p.Admin), 200},
		{"another name of this machine", operating, "GET", "/v1/streams", "", func(r *http.Request) { r.Host = "evil.example" }, 421},
		{"a form", operating, "POST", "/v1/uploads/retry", "a=b", header("Content-Type", "application/x-www-form-urlencoded"), 415},
		{"no type", operating, "POST", "/v1/uploads/retry", "", header("Content-Type", ""), 415},
		{"a body that is too long", operating, "DELETE", "/v1/streams/live/cam", `{"reason":"` + strings.Repeat("x", 64<<10) + `"}`, nil, 413},
		{"a reason that is too long", operating, "DELETE", "/v1/streams/live/cam", `{"reason":"` + strings.Repeat("x", 300) + `"}`, nil, 422},
	} {
		c.token = tc.token
		var change []func(*http.Request)
		if tc.change != nil {
			change = append(change, tc.change)
		}
		res, said := c.send(tc.method, tc.target, tc.body, change...)
		if res.StatusCode != tc.status {
			t.Errorf("%s: %d %s, wanted %d", tc.name, res.StatusCode, said, tc.status)
		}
		if tc.status >= 400 && tc.status != 421 && res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: no problem but %s", tc.name, res.Header.Get("Content-Type"))
		}
		for name, values := range res.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: another site may read it: %s %v", tc.name, name, values)
			}
		}
	}
	c.token = operating
	for i := 0; ; i++ {
		if res, _ := c.send("GET", "/v1/streams", "", header("Authorization", "Bearer guess")); res.StatusCode == 429 {
			break
		} else if i == 30 {
			t.Fatal("guessing is not limited")
		}
	}
	if log := p.Log.String(); strings.Contains(log, reading) || strings.Contains(log, operating) || strings.Contains(log, read) {
		t.Error("a token, or the hash of one, is in the log")
	}
	c.write(rig.Brisk)
	rig.Eventually(t, 20*time.Second, "tokens that are taken out count no more", func() bool {
		return p.Status("http://"+p.Admin+"/v1/streams") == 200
	})
}

// TestAnotherMachine sends requests from an address that is not loopback.
func TestAnotherMachine(t *testing.T) {
	var own string
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			own = n.IP.String()
		}
	}
	if own == "" {
		t.Skip("this machine has no address but loopback")
	}
	p := rig.Serve(t, t.TempDir(), rig.Brisk)
	_, port, _ := net.SplitHostPort(p.Admin)
	p.Kill()
	for i, v := range p.Env {
		if strings.HasPrefix(v, "HLSORIGIN_ADMIN_LISTEN=") {
			p.Env[i] = "HLSORIGIN_ADMIN_LISTEN=" + net.JoinHostPort(own, port)
		}
	}
	p.Admin = net.JoinHostPort(own, port)
	p.Start()
	if status := p.Status("http://" + p.Admin + "/v1/streams"); status != 403 {
		t.Errorf("another machine is answered %d", status)
	}
	if status := p.Status("http://" + p.Admin + "/healthz"); status != 200 {
		t.Errorf("health is answered %d", status)
	}
}

// run runs a command with the server's configuration and environment.
func run(t *testing.T, p *rig.Process, args []string) (said string, status int) {
	t.Helper()
	path, err := rig.Program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, p.Args...)...)
	cmd.Dir, cmd.Env = p.Dir, p.Env
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestCtl runs what operators type.
func TestCtl(t *testing.T) {
	rig.Need(t, "ffmpeg")
	p := rig.Serve(t, t.TempDir(), rig.Brisk)
	token, hash := newToken(t)
	ctl := func(status int, says string, args ...string) {
		t.Helper()
		said, got := run(t, p, append([]string{"ctl"}, args...))
		if got != status || !strings.Contains(said, says) {
			t.Errorf("ctl %s: %d, %s; wanted %d and %q", strings.Join(args, " "), got, said, status, says)
		}
	}
	ctl(0, "nothing is on the air", "streams")
	rig.Shoot(t, p, "cam")
	rig.Eventually(t, 30*time.Second, "the show is on", func() bool { return p.Streams()["cam"].State == "live" })
	ctl(0, "live/cam", "streams")
	ctl(0, "live/cam is disconnected", "kick", "live/cam", "wrong channel")
	rig.Eventually(t, 30*time.Second, "it is back", func() bool { s := p.Streams()["cam"]; return s.State == "live" && s.Protocol == "rtmp" })
	ctl(0, "is final", "end", "live/cam")
	ctl(1, "nobody publishes live/nobody", "kick", "live/nobody")
	ctl(0, "nothing has changed", "reload")
	ctl(0, "it was info", "log-level", "debug")
	ctl(1, "", "log-level", "loud")
	ctl(0, "in the bucket", "sync", "-timeout", "30s")
	ctl(0, "are tried now", "retry")
	ctl(2, "there is no act", "kcik")
	ctl(2, "is no APP/STREAM", "kick", "cam")
	ctl(2, "not expected", "reload", "now")
	ctl(0, "hlsorigin ctl streams", "-h")
	(&client{t: t, p: p}).write(rig.Brisk + "admin: {tokens: [{name: op, hash: \"" + hash + "\", scope: operate}]}\n")
	ctl(0, "admin.tokens counts at once", "reload")
	ctl(1, "HLSORIGIN_TOKEN", "streams")
	p.Env = append(p.Env, "HLSORIGIN_TOKEN="+token)
	ctl(0, "live/cam", "streams")
	p.Env[len(p.Env)-1] = "HLSORIGIN_TOKEN=wrong"
	ctl(1, "not known here", "streams")
}
