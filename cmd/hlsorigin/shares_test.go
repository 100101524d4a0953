package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/budget"
	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/admin"
)

// TestSharesAreShown holds that check, metrics and API name each of them.
func TestSharesAreShown(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "server.yaml")
	if err := os.WriteFile(file, []byte("memory: 256MiB\nstorage: {url: \"file://"+dir+"/bucket\"}\nspool: {dir: "+dir+"/spool}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run([]string{"check", "-config", file}, environment{out: &out, err: io.Discard}); code != 0 {
		t.Fatal(code)
	}
	again := filepath.Join(dir, "again.yaml")
	if err := os.WriteFile(again, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(again, nil) // what is shown beside the configuration is no part of it
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.archive.close(t.Context())
	metrics, api := httptest.NewRecorder(), httptest.NewRecorder()
	s.metrics().ServeHTTP(metrics, httptest.NewRequest("GET", "/metrics", nil))
	r := httptest.NewRequest("GET", "/api/streams", nil)
	r.Host = "localhost"
	admin.New(admin.Options{Memory: shares{s}}).ServeHTTP(api, r)
	for i, limit := range s.budget.Shares {
		name := budget.Share(i).String()
		for _, want := range []struct{ in, text string }{
			{out.String(), "#   " + name}, {metrics.Body.String(), `hlsorigin_memory_used_bytes{share="` + name + `"}`}, {api.Body.String(), `"name": "` + name + `"`},
			{api.Body.String(), fmt.Sprintf(`"limit": %d`, limit)},
		} {
			if !strings.Contains(want.in, want.text) {
				t.Errorf("no %s in\n%.3000s", want.text, want.in)
			}
		}
	}
}
