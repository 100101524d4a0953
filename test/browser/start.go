package browser

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Modules returns the directory of the driver and of the players, or what is missing for a browser with some players.
func Modules(players ...string) (dir, missing string) {
	dir = os.Getenv("HLSORIGIN_TEST_NODE_MODULES")
	if dir == "" {
		return "", "HLSORIGIN_TEST_NODE_MODULES does not say where the browser's players are: .ci/run sets it"
	}
	for _, p := range append([]string{"playwright-core"}, players...) {
		if _, err := os.Stat(filepath.Join(dir, p)); err != nil {
			return "", "the package " + p + " is not in " + dir + ": .ci/run installs it"
		}
	}
	for _, p := range []string{"node", "chromium"} {
		if _, err := exec.LookPath(p); err != nil {
			return "", p + " is not installed"
		}
	}
	return dir, ""
}

// Start launches a browser that ends with the test. Without it or one of the players the test is skipped.
func Start(t *testing.T, players ...string) *Browser {
	t.Helper()
	dir, missing := Modules(players...)
	if missing != "" {
		t.Skip(missing)
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Launch(dir, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = b.Close()
		if t.Failed() {
			t.Logf("browser:\n%s", b.Log())
		}
	})
	return b
}
