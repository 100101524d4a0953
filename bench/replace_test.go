//go:build linux

package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceKeepsThePage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "p.md")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(page, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n<!-- measured -->\nold\n<!-- end of measured -->\nafter\n")
	for range 2 {
		if err := replace(page, "new\n"); err != nil {
			t.Fatal(err)
		}
	}
	want := "before\n<!-- measured -->\n\nnew\n\n<!-- end of measured -->\nafter\n"
	if b, err := os.ReadFile(page); err != nil || string(b) != want {
		t.Errorf("page is %q, %v", b, err)
	}
	write("nothing")
	if err := replace(page, "new\n"); err == nil {
		t.Error("a page without a place is taken")
	}
}
