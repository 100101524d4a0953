//go:build unix

package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// What has an object's name but is not a file is not an object: it is not waited for, listed, removed or overwritten.
func TestOnlyFilesAreObjects(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"pipe":           func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"socket":         func(p string) error { return syscall.Mknod(p, syscall.S_IFSOCK|0o600, 0) },
		"link to device": func(p string) error { return os.Symlink("/dev/zero", p) },
		"link":           func(p string) error { return os.Symlink("real", p) },
		"directory":      func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			s := open(t, Options{Path: path, NoFsync: true})
			if err := errors.Join(os.Mkdir(filepath.Join(path, "a"), 0o700), os.WriteFile(filepath.Join(path, "a", "real"), []byte("x"), 0o600)); err != nil {
				t.Fatal(err)
			}
			if err := make(filepath.Join(path, "a", "odd")); err != nil {
				t.Skip(err)
			}
			if _, _, err := s.Get(t.Context(), "a/odd", 0, -1); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("get: %v", err)
			}
			if _, err := s.Stat(t.Context(), "a/odd/below"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("stat: %v", err)
			}
			for _, prefix := range []string{"", "a/", "a/odd/"} {
				for _, key := range storetest.Keys(t, s, prefix) {
					if strings.Contains(key, "odd") {
						t.Errorf("%q lists %s", prefix, key)
					}
				}
			}
			if _, err := s.Put(t.Context(), "a/odd/below", strings.NewReader("y"), storage.Attributes{}); name != "directory" && !errors.Is(err, storage.ErrPermanent) {
				t.Errorf("put below: %v", err)
			}
			if err := errors.Join(s.Remove(t.Context(), "a/odd"), s.Remove(t.Context(), "a/real/below")); err != nil {
				t.Errorf("remove: %v", err)
			}
			if err := s.Remove(t.Context(), "a/odd/below"); err != nil && !strings.HasPrefix(name, "link") {
				t.Errorf("remove below: %v", err)
			}
			if _, err := s.Stat(t.Context(), "a/real"); err != nil {
				t.Error(err)
			}
			if name == "directory" {
				return
			}
			if _, err := os.Lstat(filepath.Join(path, "a", "odd")); err != nil {
				t.Error(err)
			}
			for _, a := range []storage.Attributes{{IfAbsent: true}, {}} {
				_, err := s.Put(t.Context(), "a/odd", strings.NewReader("y"), a)
				if link := strings.HasPrefix(name, "link"); !(link && !a.IfAbsent) && !errors.Is(err, storage.ErrPermanent) {
					t.Errorf("put, if absent %v: %v", a.IfAbsent, err)
				}
			}
		})
	}
}

// A link to a directory within the store is not a second name for its content.
func TestLinksInsideAreNotFollowed(t *testing.T) {
	path := t.TempDir()
	s := open(t, Options{Path: path, NoFsync: true})
	if _, err := s.Put(t.Context(), "a/b/c", strings.NewReader("x"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(path, "alias")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), "alias/b/c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat: %v", err)
	}
	if _, err := s.Put(t.Context(), "alias/b/d", strings.NewReader("y"), storage.Attributes{}); !errors.Is(err, storage.ErrPermanent) {
		t.Errorf("put: %v", err)
	}
	if err := s.Remove(t.Context(), "alias/b/c"); !errors.Is(err, storage.ErrPermanent) {
		t.Errorf("remove: %v", err)
	}
	for _, prefix := range []string{"alias/", "alias/b/"} {
		if keys := storetest.Keys(t, s, prefix); keys != nil {
			t.Errorf("%s lists %q", prefix, keys)
		}
	}
	if keys := storetest.Keys(t, s, ""); len(keys) != 1 || keys[0] != "a/b/c" {
		t.Errorf("listed %q", keys)
	}
}

// The same for the files of attributes: what is in their place costs nothing to read, is believed only if it can be, and is replaced, since
// nothing else has reason to be there.
func TestHostileAttributes(t *testing.T) {
	const usual = "application/vnd.apple.mpegurl"
	for name, make := range map[string]func(path string) error{
		"pipe":    func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"4 GB":    func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Truncate(p, 4<<30)) },
		"device":  func(p string) error { return os.Symlink("/dev/zero", p) },
		"not one": func(p string) error { return os.WriteFile(p, []byte("{"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			s := open(t, Options{Path: path, NoFsync: true})
			if _, err := s.Put(t.Context(), "x.m3u8", strings.NewReader("x"), storage.Attributes{CacheControl: "max-age=7"}); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(path, attributesFile("x.m3u8"))
			if err := errors.Join(os.Remove(file), make(file)); err != nil {
				t.Fatal(err)
			}
			if o, err := s.Stat(t.Context(), "x.m3u8"); err != nil || o.ContentType != usual || o.CacheControl == "max-age=7" {
				t.Errorf("%+v, %v", o, err)
			}
			if _, err := s.Put(t.Context(), "x.m3u8", strings.NewReader("y"), storage.Attributes{CacheControl: "max-age=7"}); err != nil {
				t.Fatal(err)
			}
			if o, err := s.Stat(t.Context(), "x.m3u8"); err != nil || o.CacheControl != "max-age=7" {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
	if (&attributes{ContentType: "x\r\nSet-Cookie: a=b"}).plain() {
		t.Error("a header would be split")
	}
}
