package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
