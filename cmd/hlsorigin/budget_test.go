package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/admin"
)

// machine is one with so much memory, in MiB, and no cgroup.
func machine(mebi int64) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		if path == "/proc/meminfo" {
			return fmt.Appendf(nil, "MemTotal: %d kB\n", mebi<<10), nil
		}
		return nil, errors.New("not there")
	}
}

// TestSharesFitTheBudget holds that all shares together leave the program what it needs, however little there is, and that none is
// without anything.
func TestSharesFitTheBudget(t *testing.T) {
	for _, tc := range []struct {
		memory, window, archive configs.Size
		mebi                    int64 // of the machine
	}{
		{memory: 64 << 20}, {memory: 256 << 20}, {memory: 8 << 30}, {memory: 1 << 40},
		{mebi: 512}, {mebi: 24 << 10},
		{memory: 256 << 20, window: 100 << 20}, {memory: 256 << 20, archive: 64 << 20}, {memory: 256 << 20, window: 64 << 20, archive: 64 << 20},
	} {
		cfg := configs.Default()
		cfg.Memory, cfg.HLS.Memory, cfg.Spool.Memory = tc.memory, tc.window, tc.archive
		b, err := newBudget(cfg, machine(tc.mebi))
		if err != nil {
			t.Errorf("%+v: %v", tc, err)
			continue
		}
		want := tc.memory.Bytes()
		if want == 0 {
			want = tc.mebi << 20 / 4 * 3
		}
		sum := int64(0)
		for i, n := range b.share {
			if sum += n; n < 1<<20 {
				t.Errorf("%+v: %s has %d bytes", tc, shareOf(i), n)
			}
		}
		if b.total != want || sum > want*9/10 || b.heap() < want/8 || b.heap() > want {
			t.Errorf("%+v: %d of %d are shared out, the heap has %d", tc, sum, b.total, b.heap())
		}
		if tc.window > 0 && b.share[windowShare] != tc.window.Bytes() || tc.archive > 0 && b.share[archiveShare] != tc.archive.Bytes() {
			t.Errorf("%+v: what is set is not kept: %v", tc, b.share)
		}
		if n := b.viewerConnections(20000); n < 16 || int64(n)*viewerCost > b.share[viewersShare] {
			t.Errorf("%+v: %d viewers", tc, n)
		}
		if n := b.publisherConnections(1000, 4); n < 16 || int64(n)*4*publisherCost > max(64*publisherCost, b.share[publishersShare]/2) {
			t.Errorf("%+v: %d publishers", tc, n)
		}
	}
}

func TestSharesThatLeaveTooLittle(t *testing.T) {
	cfg := configs.Default()
	cfg.Memory, cfg.HLS.Memory = 256<<20, 250<<20
	if _, err := newBudget(cfg, machine(0)); err == nil || !strings.Contains(err.Error(), "hls.memory (250MiB)") {
		t.Error(err)
	}
}

func TestSharesWhereNothingIsKnown(t *testing.T) {
	b, err := newBudget(configs.Default(), machine(0))
	if err != nil || b.total != 0 || b.heap() != 0 || b.segments() != 0 || b.share[windowShare] != 0 || b.share[publishersShare] == 0 {
		t.Errorf("%+v, %v", b, err)
	}
}

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
	for i, limit := range s.budget.share {
		name := shareOf(i).String()
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
