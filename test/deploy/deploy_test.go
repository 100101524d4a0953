// Package deploy checks the content of deploy/ against the program: alerts and dashboards name existing metrics, in expressions that
// Prometheus can parse; the unit, the compose file and the manifests parse, and use existing settings. It refuses to start a cluster.
package deploy

import (
	"os"
	"path/filepath"
	"testing"
)

const folder = "../../deploy"

func read(t *testing.T, name ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{folder}, name...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
