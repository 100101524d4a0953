// Package deploy holds what lies in deploy/ against the program: alerts and dashboards name metrics that exist, in expressions that
// Prometheus reads; the unit, the compose file and the manifests parse, and set what is a setting. It starts no cluster.
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
