package storetest

import (
	"io/fs"
	"path/filepath"
	"testing"
)

// Journals are the files of the journals in a spool's folder.
func Journals(t testing.TB, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == "journal" {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}
