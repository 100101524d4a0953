//go:build unix

package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What only has the name of a configuration is told, and neither waited for nor read.
func TestLoadTakesFilesAlone(t *testing.T) {
	for name, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"pipe":             {func(p string) error { return syscall.Mkfifo(p, 0o600) }, "a pipe"},
		"link to a device": {func(p string) error { return os.Symlink("/dev/zero", p) }, "a device"},
		"directory":        {func(p string) error { return os.Mkdir(p, 0o700) }, "a directory"},
		"4 GB":             {func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Truncate(p, 4<<30)) }, "larger than"},
		"link in circles":  {func(p string) error { return os.Symlink(p, p) }, "symbolic links"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v", err)
			}
		})
	}
	// A file that is mounted in the manner of secrets: a link to a link into a directory that is one.
	dir := t.TempDir()
	data := filepath.Join(dir, "..data")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "..1"), 0o700), os.WriteFile(filepath.Join(dir, "..1", "config.yaml"), []byte("{}"), 0o600),
		os.Symlink("..1", data), os.Symlink(filepath.Join("..data", "config.yaml"), filepath.Join(dir, "config.yaml"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(filepath.Join(dir, "config.yaml"), nil); err != nil {
		t.Error(err)
	}
}
