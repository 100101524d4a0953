package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	config, cert := filepath.Join(dir, "hlsorigin.yaml"), filepath.Join(dir, "cert.pem")
	files := []string{config, cert}
	stamp := time.Unix(1_700_000_000, 0)
	write := func(name, text string) {
		t.Helper()
		stamp = stamp.Add(time.Second) // whatever the file system's clock can tell apart
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	write(config, "a")
	write(cert, "a")
	w := New(config, os.Stat)
	look := func(what string, want ...bool) {
		t.Helper()
		for i, want := range want {
			if got := w.Changed(files); got != want {
				t.Errorf("%s: look %d says %v", what, i+1, got)
			}
		}
	}
	look("nothing, and a file that it did not know", false, false)
	write(config, "b")
	look("a write", false, true, false, false)
	write(config, "c")
	look("the first of two writes", false)
	write(config, "d")
	look("and the second", false, true, false)
	write(cert, "b")
	look("a certificate", false, true, false)
	write(filepath.Join(dir, "new"), "e")
	if err := os.Rename(filepath.Join(dir, "new"), config); err != nil {
		t.Fatal(err)
	}
	look("another file in its place", false, true, false)
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	look("it is away", false, false, false)
	write(config, "f")
	look("it is back", false, true, false)
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	write(config, "g")
	look("another is away for ever", false, true, false)
	w.Look(files)
	write(cert, "c")
	look("and back after all", false, true, false)
	write(config, "h")
	w.Look(files)
	look("read by others", false, false)
}

// Kubernetes mounts a ConfigMap as links through a link to a directory, and replaces that one.
func TestWatchOfAConfigMap(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, version := range []string{"..one", "..two"} {
		if err := os.Mkdir(at(version), 0o755); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(at(version), "hlsorigin.yaml")
		if err := os.WriteFile(name, []byte("same size"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"..data": "..one", "hlsorigin.yaml": "..data/hlsorigin.yaml", "..next": "..two"} {
		if err := os.Symlink(to, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	w := New(at("hlsorigin.yaml"), os.Stat)
	if w.Changed(w.config) {
		t.Error("nothing has changed")
	}
	if err := os.Rename(at("..next"), at("..data")); err != nil {
		t.Fatal(err)
	}
	if w.Changed(w.config) || !w.Changed(w.config) || w.Changed(w.config) {
		t.Error("the link was exchanged, which is seen once, at the second look")
	}
}
