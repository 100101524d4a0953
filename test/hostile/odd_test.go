package hostile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// odd are things that only have the name of a file, or only its beginning.
var odd = map[string]func(path string) error{
	"pipe":      func(p string) error { return syscall.Mkfifo(p, 0o644) },
	"link":      func(p string) error { return os.Symlink("/etc/passwd", p) },
	"device":    func(p string) error { return os.Symlink("/dev/zero", p) },
	"directory": func(p string) error { return os.Mkdir(p, 0o755) },
	"4 GB":      func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o644), os.Truncate(p, 4<<30)) },
	"truncated": func(p string) error { return os.WriteFile(p, make([]byte, 188*3), 0o644) },
}

// plant replaces whatever has the name with something odd.
func plant(t *testing.T, kind, path string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.RemoveAll(path), odd[kind](path)); err != nil {
		t.Fatal(err)
	}
}
