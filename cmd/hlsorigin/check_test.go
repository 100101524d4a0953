package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/listen"
)

// TestHealthcheckFindsTheServer asks a server whose admin address stands in a file, by the command line and by the
// environment, as a container's health check does that was written before the file was.
func TestHealthcheckFindsTheServer(t *testing.T) {
	well := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !well || r.URL.Path != "/healthz" {
			http.Error(w, "the disk is full", http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxied := &http.Server{Handler: s.Config.Handler}
	go func() {
		_ = proxied.Serve(listen.NewProxied(l, listen.ProxyOptions{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}))
	}()
	defer proxied.Close()
	_, behind, _ := net.SplitHostPort(l.Addr().String())
	file := filepath.Join(t.TempDir(), "server.yaml")
	if err := os.WriteFile(file, []byte("admin: {listen: \"0.0.0.0:"+port+"\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, vars []string
		well       bool
		want       int
	}{
		{[]string{"-config", file}, nil, true, 0},
		{nil, []string{"HLSORIGIN_CONFIG=" + file}, true, 0},
		{nil, []string{"HLSORIGIN_ADMIN_LISTEN=:" + port}, true, 0},
		{[]string{"-config", file}, []string{"HLSORIGIN_CONFIG=/nowhere.yaml"}, true, 0},
		{nil, []string{"HLSORIGIN_ADMIN_LISTEN=", "HLSORIGIN_HTTP_LISTEN=:" + port}, true, 0},
		{nil, []string{"HLSORIGIN_ADMIN_LISTEN=", "HLSORIGIN_HTTP_LISTEN=:" + behind, "HLSORIGIN_TRUSTED_PROXIES=127.0.0.0/8"}, true, 0},
		{nil, []string{"HLSORIGIN_CONFIG=" + file}, false, 1},
		{nil, []string{"HLSORIGIN_CONFIG=/nowhere.yaml"}, true, 1},
	} {
		well = c.well
		var out, errs bytes.Buffer
		if got := run(append([]string{"healthcheck"}, c.args...), environment{out: &out, err: &errs, vars: c.vars}); got != c.want {
			t.Errorf("healthcheck %v with %v: exit status %d, %s", c.args, c.vars, got, errs.String())
		}
		if c.want != 0 && c.well != strings.Contains(errs.String(), "nowhere.yaml") {
			t.Errorf("%v: %s", c.vars, errs.String())
		}
	}
}

// What is asked about a server follows its command line, and no other command's.
func TestServed(t *testing.T) {
	for line, want := range map[string]struct {
		config string
		ok     bool
	}{
		"": {"", true}, "-demo": {"", true}, "-config /a": {"/a", true}, "--config=h.yaml": {"h.yaml", true},
		"healthcheck": {"", false}, "recordings -config /b": {"", false}, "-unknown": {"", false},
	} {
		if config, ok := served(strings.Fields(line)); config != want.config || ok != want.ok {
			t.Errorf("%q: %q, %v", line, config, ok)
		}
	}
}

// A service manager asks before it starts the server, and does not want the whole configuration in its journal.
func TestCheckQuietly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hlsorigin.yaml")
	for text, want := range map[string]int{"http: {listen: \":5080\"}\n": 0, "http: {listn: \":5080\"}\n": 1} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		if status := run([]string{"check", "-quiet", "-config", file}, environment{out: &out, err: &errs}); status != want || out.Len() > 0 || (errs.Len() > 0) != (want != 0) {
			t.Errorf("%s: status %d, %q, %q", text, status, &out, &errs)
		}
	}
	var out, errs bytes.Buffer
	vars := []string{"HLSORIGIN_HTTP_LISTN=:5080"}
	if status := run([]string{"check", "-quiet"}, environment{out: &out, err: &errs, vars: vars}); status != 0 || out.Len() > 0 || !strings.Contains(errs.String(), "HLSORIGIN_HTTP_LISTEN") {
		t.Errorf("a misspelt variable: status %d, %q, %q", status, &out, &errs)
	}
}

// What is wrong in the environment is said, and is no mistake of the configuration.
func TestCheckWarnsOfVariables(t *testing.T) {
	var out, errs bytes.Buffer
	vars := []string{"HLSORIGIN_HTTP_LISTN=:80", "HLSORIGIN_SERVICE_HOST=10.0.0.1"}
	if status := run([]string{"check"}, environment{out: &out, err: &errs, vars: vars}); status != 0 || out.Len() == 0 {
		t.Errorf("status %d, %s", status, &out)
	}
	const want = "hlsorigin: warning: environment variable HLSORIGIN_HTTP_LISTN: no setting has this name, so it changes nothing (did you mean \"HLSORIGIN_HTTP_LISTEN\"?)\n"
	if errs.String() != want {
		t.Errorf("%q", errs.String())
	}
}

func TestScale(t *testing.T) {
	for line, want := range map[string]struct {
		status int
		says   string
	}{
		"scale -viewers 50000":        {0, "50,000 viewers"},
		"scale -json":                 {0, `"viewers": 1000000`},
		"scale -h":                    {0, "-viewers N"},
		"scale -segment 4":            {2, "-segment"},
		"scale -hours 25":             {2, "-hours"},
		"scale 50000":                 {2, "was not expected"},
		"scale -nothing":              {2, "-nothing"},
		"scale -rates 1,2 -cores 0":   {2, "-cores"},
		"scale -network 0.01 -cmaf":   {0, "none carries one"},
		"scale -viewers 0 -regions 0": {0, "0 viewers"},
	} {
		var out, errs bytes.Buffer
		status := run(strings.Fields(line), environment{out: &out, err: &errs})
		if status != want.status || !strings.Contains(out.String()+errs.String(), want.says) || (errs.Len() > 0) != (status != 0) {
			t.Errorf("%s: status %d, %s%s", line, status, &out, &errs)
		}
	}
}

// A server that cannot start says with which setting that is, and what to do, before anything is written.
func TestStartRefuses(t *testing.T) {
	dir := t.TempDir()
	common := []string{
		"HLSORIGIN_HTTP_LISTEN=127.0.0.1:0", "HLSORIGIN_ADMIN_LISTEN=127.0.0.1:0", "HLSORIGIN_RTMP_LISTEN=", "HLSORIGIN_RTSP_LISTEN=",
		"HLSORIGIN_SPOOL_DIR=" + filepath.Join(dir, "spool"), "HLSORIGIN_STORAGE_URL=file://" + filepath.Join(dir, "bucket"),
	}
	for name, c := range map[string]struct {
		vars []string
		says []string
	}{
		"no certificate": {
			[]string{"HLSORIGIN_HTTP_TLS_LISTEN=127.0.0.1:0", "HLSORIGIN_HTTP_TLS_CERT=/nowhere.pem", "HLSORIGIN_HTTP_TLS_KEY=/nowhere.key"},
			[]string{"http.tls: certificate /nowhere.pem"},
		},
		"another's address": {[]string{"HLSORIGIN_HTTP_LISTEN=192.0.2.1:0"}, []string{"http.listen: cannot listen on 192.0.2.1:0", "this machine has no such address"}},
	} {
		var errs bytes.Buffer
		if got := run(nil, environment{out: io.Discard, err: &errs, vars: append(common, c.vars...)}); got != 1 {
			t.Errorf("%s: exit status %d", name, got)
		}
		for _, want := range c.says {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: %q is missing in %s", name, want, errs.String())
			}
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "bucket")); err == nil {
		t.Errorf("the bucket was written to: %v", left)
	}
}

// What a command line that makes no sense is answered names the help of the command.
func TestUsageNamesTheHelp(t *testing.T) {
	for line, want := range map[string]string{
		"ctl foo": "Try: hlsorigin ctl -h\n", "recordings foo": "Try: hlsorigin recordings -h\n", "foo": "Try: hlsorigin -h\n", "check foo": "Try: hlsorigin -h\n",
	} {
		var errs bytes.Buffer
		if got := run(strings.Fields(line), environment{out: io.Discard, err: &errs}); got != 2 || !strings.HasSuffix(errs.String(), want) {
			t.Errorf("%s: exit status %d, %s", line, got, errs.String())
		}
	}
}
