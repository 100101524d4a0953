package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadMaterials reads a program that is there anyway: this test.
func TestReadMaterials(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m, err := readMaterials(own, "v9")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, path := range paths(m) {
		found = found || path == "github.com/goccy/go-yaml"
	}
	if !found || m.version != "v9" || strings.Contains(m.goVersion(), "go") || m.script != nil {
		t.Errorf("%+v", m.info)
	}
	if _, err := readMaterials("build.go", ""); err == nil {
		t.Error("a text has materials")
	}
}

// The script that is built in is the pinned one or none.
func TestReadScript(t *testing.T) {
	t.Chdir(t.TempDir())
	if body, err := readScript(); body != nil || err != nil {
		t.Errorf("without one: %d bytes, %v", len(body), err)
	}
	if err := os.MkdirAll(filepath.Dir(scriptFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(scriptFile, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readScript(); err == nil || !strings.Contains(err.Error(), "make web") {
		t.Errorf("another one: %v", err)
	}
}
