package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLicence(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  string // empty: an error
	}{
		"one":                     {map[string]string{"LICENSE": "be kind\n", "README.md": "x"}, "be kind"},
		"British":                 {map[string]string{"Licence.txt": "be kind"}, "be kind"},
		"with what belongs to it": {map[string]string{"COPYING": "a", "NOTICE": "b", "PATENTS": "c"}, "a\n\nb\n\nc"},
		"with a version":          {map[string]string{"LICENSE_1_0.txt": "a"}, "a"},
		"two licences":            {map[string]string{"LICENSE-MIT": "a", "LICENSE.apache": "b"}, "a\n\nb"},
		"none":                    {map[string]string{"README": "x", "licenses.go": "package licenses"}, ""},
	} {
		dir := t.TempDir()
		for file, text := range tc.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := licence(dir); got != tc.want || (err != nil) != (tc.want == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := licence(""); err == nil {
		t.Error("a module whose source is not here has a licence")
	}
}
