package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Program builds the program once, without the race detector: players and encoders use what users run.
var Program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hlsorigin-test-")
	if err != nil {
		return "", err
	}
	madeIn.Store(&dir)
	path := filepath.Join(dir, "hlsorigin")
	out, err := exec.Command("go", "build", "-o", path, "github.com/hlsorigin/hlsorigin/cmd/hlsorigin").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// madeIn is the folder of the built program and of the clips; nil until a test needs them.
var madeIn atomic.Pointer[string]

// Main runs a package's tests and removes what Program made. A package's TestMain calls it.
func Main(m *testing.M) {
	code := m.Run()
	if dir := madeIn.Load(); dir != nil {
		_ = os.RemoveAll(*dir)
	}
	os.Exit(code)
}
