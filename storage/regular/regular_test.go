//go:build unix

package regular

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What only has the name of a file is refused, with an explanation, at once, by each function.
func TestOpenTakesFilesAlone(t *testing.T) {
	for name, c := range map[string]struct {
		make func(path string) error
		want string // "": it is opened by name
	}{
		"a file":         {func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) }, ""},
		"a pipe":         {func(p string) error { return syscall.Mkfifo(p, 0o600) }, "a pipe"},
		"a directory":    {func(p string) error { return os.Mkdir(p, 0o700) }, "a directory"},
		"a device":       {func(p string) error { return os.Symlink("/dev/zero", p) }, "a device"},
		"a link":         {func(p string) error { return errors.Join(os.WriteFile(p+"2", nil, 0o600), os.Symlink(p+"2", p)) }, ""},
		"link to a pipe": {func(p string) error { return errors.Join(syscall.Mkfifo(p+"2", 0o600), os.Symlink(p+"2", p)) }, "a pipe"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			link := strings.Contains(name, "link") || name == "a device"
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			for way, open := range map[string]func() (*os.File, error){
				"Open":      func() (*os.File, error) { return Open(path, os.O_RDONLY) },
				"OpenPlain": func() (*os.File, error) { return OpenPlain(path, os.O_RDONLY) },
				"OpenIn":    func() (*os.File, error) { return OpenIn(root, "f", os.O_RDONLY) },
			} {
				f, err := open()
				want := c.want
				if link && way != "Open" {
					want = "a symbolic link"
				}
				if want == "" {
					if err != nil {
						t.Errorf("%s: %v", way, err)
					} else if err := f.Close(); err != nil {
						t.Error(err)
					}
					continue
				}
				if !errors.Is(err, ErrNotFile) || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v", way, err)
				}
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), os.O_RDONLY); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A directory in the name that is a link leads nowhere beneath a root, wherever it points to.
func TestOpenInFollowsNoFolder(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "a"), 0o700), os.WriteFile(filepath.Join(dir, "a", "f"), nil, 0o600), os.Symlink("a", filepath.Join(dir, "b"))); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f, err := OpenIn(root, "a/f", os.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := OpenIn(root, "b/f", os.O_RDONLY); !errors.Is(err, syscall.ENOTDIR) {
		t.Error(err)
	}
	if _, err := OpenIn(root, "../f", os.O_RDONLY); err == nil {
		t.Error("the root was left")
	}
}

// Nothing is read from what is too large, such as 4 GB of zeros.
func TestReadIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for size, ok := range map[int64]bool{0: true, 999: true, 1000: true, 1001: false, 4 << 30: false} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
			t.Fatal(err)
		}
		p, err := Read(path, 1000)
		if ok != (err == nil) || ok && !bytes.Equal(p, make([]byte, size)) || !ok && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d bytes: %d read, %v", size, len(p), err)
		}
	}
}
