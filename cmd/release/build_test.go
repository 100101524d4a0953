package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestSameBytes builds a release of the last commit in two folders, as two people do. It takes minutes: all is compiled twice.
func TestSameBytes(t *testing.T) {
	if os.Getenv("HLSORIGIN_TEST_SCALE") != "1" {
		t.Skip("only at full scale")
	}
	script, err := os.ReadFile(filepath.Join("../..", scriptFile))
	if err != nil {
		t.Skip("make web has not fetched hls.js")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		t.Skip("this is no checkout, which could be cloned")
	}
	var sums [2][]byte
	for i, name := range []string{"one", "another/place"} {
		dir := filepath.Join(t.TempDir(), name)
		if out, err := exec.Command("git", "clone", "--quiet", root, dir).CombinedOutput(); err != nil {
			t.Fatalf("git clone: %v %s", err, out)
		}
		if err := os.WriteFile(filepath.Join(dir, scriptFile), script, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Chdir(dir)
		t.Setenv("GOCACHE", t.TempDir())
		var out bytes.Buffer
		if err := run(t.Context(), []string{"-platforms", runtime.GOOS + "/" + runtime.GOARCH}, &out); err != nil {
			t.Fatal(err)
		}
		if sums[i], err = os.ReadFile("dist/SHA256SUMS"); err != nil {
			t.Fatal(err)
		}
		if check, err := exec.Command("sh", "-c", "cd dist && sha256sum -c SHA256SUMS").CombinedOutput(); err != nil || !strings.Contains(string(check), ".tar.gz: OK") {
			t.Errorf("sha256sum -c: %v %s", err, check)
		}
	}
	if !bytes.Equal(sums[0], sums[1]) {
		t.Errorf("two builds of one commit:\n%s\n%s", sums[0], sums[1])
	}
}
