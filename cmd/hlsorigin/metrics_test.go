package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/test/docs"
)

var updateDocs = flag.Bool("update", false, "rewrite what is generated")

// metricTable lists the server's metrics as /metrics tells them: name, type, help.
func metricTable(t *testing.T) string {
	t.Helper()
	cfg := configs.Default()
	dir := t.TempDir()
	cfg.Webhooks = []configs.Webhook{{URL: "http://127.0.0.1/", Format: "ams"}}
	cfg.Storage.URL, cfg.Spool.Dir = "file://"+filepath.Join(dir, "bucket"), filepath.Join(dir, "spool")
	s, err := newServer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.archive.close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	publishOne(t, s)
	w := httptest.NewRecorder()
	s.metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	kind := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(w.Body.String(), -1) {
		kind[m[1]] = m[2]
	}
	labels := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(hlsorigin_\w+?)(?:_bucket|_sum|_count)?\{([^}]*)\}`).FindAllStringSubmatch(w.Body.String(), -1) {
		var names []string
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" {
				names = append(names, "`"+l[1]+"`")
			}
		}
		labels[m[1]] = strings.Join(names, ", ")
	}
	var b strings.Builder
	b.WriteString("| name | type | labels | |\n|---|---|---|---|\n")
	for _, m := range regexp.MustCompile(`(?m)^# HELP (hlsorigin_\S+) (.*)$`).FindAllStringSubmatch(w.Body.String(), -1) {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m[1], kind[m[1]], labels[m[1]], m[2])
		if !regexp.MustCompile(`^hlsorigin_[a-z_]+$`).MatchString(m[1]) || (kind[m[1]] == "counter") != strings.HasSuffix(m[1], "_total") || len(m[2]) < 5 {
			t.Errorf("%s (%s: %q) is not named as the others are", m[1], kind[m[1]], m[2])
		}
	}
	return b.String()
}

// publishOne lets a stream have a publisher, and lose a frame.
func publishOne(t *testing.T, s *server) {
	t.Helper()
	ledger := ingest.NewLedger(nil)
	session, err := s.registry.Publish(t.Context(), ingest.Announce{App: "live", Stream: "cam", Cancel: func(error) {}, Ledger: ledger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close(nil) })
	ledger.Video.Refuse(ingest.NoPicture)
}

// TestDocumentationListsEveryMetric keeps the table in docs/metrics.md; -update rewrites it.
func TestDocumentationListsEveryMetric(t *testing.T) {
	docs.Section(t, "../../docs/metrics.md", "<!-- table -->", "<!-- end of table -->", metricTable(t), *updateDocs)
}
