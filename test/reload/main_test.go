// Package reload tests, on the built program, that settings change while shows run: no show notices, a publisher that loses its right is
// told so, and what cannot be put in force changes nothing. It refuses to test single settings: their packages do.
package reload

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

const (
	done    = `hlsorigin_config_reloads_total{result="done"}`
	refused = `hlsorigin_config_reloads_total{result="refused"}`
	good    = "hlsorigin_config_last_reload_successful"
)

// write replaces the configuration that a server was started with, like an editor.
func write(t *testing.T, p *rig.Process, yaml string) {
	t.Helper()
	next := filepath.Join(p.Dir, "next.yaml")
	if err := os.WriteFile(next, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, p.Args[1]); err != nil {
		t.Fatal(err)
	}
}

// reload makes a server read another configuration now, and waits until a series has counted it.
func reload(t *testing.T, p *rig.Process, yaml, series string) {
	t.Helper()
	before := p.Metric(series)
	write(t, p, yaml)
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, 20*time.Second, fmt.Sprintf("%s rises over %v", series, before), func() bool { return p.Metric(series) > before })
}
