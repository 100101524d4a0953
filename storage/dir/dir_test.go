package dir

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Path == "" {
		o.Path = t.TempDir()
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storage.Store { return open(t, Options{NoFsync: true}) })
}

func TestConformanceWithFsync(t *testing.T) {
	if testing.Short() {
		t.Skip("1,050 objects with fsync")
	}
	storetest.Run(t, func(t *testing.T) storage.Store { return open(t, Options{}) })
}

// What a person finds in the directory are the objects, at their paths.
func TestPlainFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Path: dir})
	const key = "live/streams/cam/2023-08-24_16-02-52.970/000000001.ts"
	if _, err := s.Put(t.Context(), key, strings.NewReader("segment"), storage.Attributes{
		ContentType: "video/mp2t", CacheControl: "public, max-age=31536000, immutable", IfAbsent: true,
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(key))); err != nil || string(got) != "segment" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, attributesDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the usual attributes have a file: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, tempDir)); len(left) != 0 {
		t.Errorf("%d temporary files are left", len(left))
	}
	if err := s.Remove(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "live")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty directories stay: %v", err)
	}
}

func TestKeysThatEscape(t *testing.T) {
	parent := t.TempDir()
	if err := os.WriteFile(filepath.Join(parent, "secret"), []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Path: filepath.Join(parent, "bucket")})
	for _, key := range []string{
		"", ".", "..", "../secret", "a/../../secret", "/secret", "a//b", "a/", "a/./b", ".tmp/x", ".attributes/x", "a/.hidden",
		"a\\b", "a\x00b", "a\nb", "a\xffb", strings.Repeat("a/", 600) + "a", strings.Repeat("a", 256),
	} {
		if _, err := s.Put(t.Context(), key, strings.NewReader("x"), storage.Attributes{}); !errors.Is(err, storage.ErrPermanent) {
			t.Errorf("put %q: %v", key, err)
		}
		if _, _, err := s.Get(t.Context(), key, 0, -1); !errors.Is(err, storage.ErrPermanent) {
			t.Errorf("get %q: %v", key, err)
		}
		if err := s.Remove(t.Context(), key); !errors.Is(err, storage.ErrPermanent) {
			t.Errorf("remove %q: %v", key, err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(parent, "secret")); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSymbolicLinks(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "bucket")
	outside := filepath.Join(parent, "outside")
	if err := os.MkdirAll(outside, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "f"), []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Path: dir})
	for link, target := range map[string]string{"file": filepath.Join(outside, "f"), "folder": outside, "relative": "../outside"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
	}
	for _, key := range []string{"file", "folder/f", "relative/f"} {
		if _, _, err := s.Get(t.Context(), key, 0, -1); err == nil {
			t.Errorf("get %s leaves the directory", key)
		}
	}
	for _, key := range []string{"folder/new", "relative/new"} {
		if _, err := s.Put(t.Context(), key, strings.NewReader("x"), storage.Attributes{}); err == nil {
			t.Errorf("put %s leaves the directory", key)
		}
	}
	if err := s.Remove(t.Context(), "folder/f", "relative/f"); err == nil {
		t.Error("remove leaves the directory")
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 1 {
		t.Errorf("outside holds %v", entries)
	}
	if keys := storetest.Keys(t, s, ""); keys != nil {
		t.Errorf("listed %q", keys)
	}
	// A Put replaces a link, never its target.
	if _, err := s.Put(t.Context(), "file", strings.NewReader("new"), storage.Attributes{}); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(filepath.Join(outside, "f")); string(got) != "secret" {
		t.Errorf("the target holds %q", got)
	}
}

// What a crash leaves is never listed. It is removed when it is an hour older than the first file that a later start writes.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	tmp := filepath.Join(dir, tempDir)
	if err := os.Mkdir(tmp, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"old": 2 * time.Hour, "running": time.Minute} {
		if err := os.WriteFile(filepath.Join(tmp, name), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(filepath.Join(tmp, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, Options{Path: dir})
	if keys := storetest.Keys(t, s, ""); keys != nil {
		t.Errorf("listed %q", keys)
	}
	if _, err := s.Put(t.Context(), "a", strings.NewReader("x"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 1 || left[0].Name() != "running" {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestKeyUnderKey(t *testing.T) {
	s := open(t, Options{})
	for _, key := range []string{"a", "b/c"} {
		if _, err := s.Put(t.Context(), key, strings.NewReader("x"), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"a/b", "b"} {
		for _, absent := range []bool{false, true} {
			_, err := s.Put(t.Context(), key, strings.NewReader("x"), storage.Attributes{IfAbsent: absent})
			if !errors.Is(err, storage.ErrPermanent) {
				t.Errorf("put %s: %v", key, err)
			}
		}
	}
}

// Attributes belong to one file: one replaced by hand has those of its extension.
func TestAttributesOfAnotherFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Path: dir})
	if _, err := s.Put(t.Context(), "a.m3u8", strings.NewReader("x"), storage.Attributes{CacheControl: "no-store", ContentEncoding: "gzip"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.m3u8"), []byte("by hand"), 0o666); err != nil {
		t.Fatal(err)
	}
	o, err := s.Stat(t.Context(), "a.m3u8")
	if err != nil || o.ContentEncoding != "" || o.CacheControl != "" || o.ContentType != "application/vnd.apple.mpegurl" {
		t.Errorf("%+v, %v", o, err)
	}
	if err := s.Remove(t.Context(), "a.m3u8"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, attributesDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("attributes stay: %v", err)
	}
}

// A Cache-Control is the name's: putting the next playlist writes it again only where it changed. Who replaces one by hand keeps it.
func TestCacheControlIsTheNames(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Path: dir})
	file := filepath.Join(dir, attributesFile("live.m3u8"))
	put := func(body string, a storage.Attributes) fs.FileInfo {
		t.Helper()
		if _, err := s.Put(t.Context(), "live.m3u8", strings.NewReader(body), a); err != nil {
			t.Fatal(err)
		}
		o, err := s.Stat(t.Context(), "live.m3u8")
		if err != nil || o.CacheControl != a.CacheControl || o.ContentEncoding != a.ContentEncoding || o.ContentType != "application/vnd.apple.mpegurl" {
			t.Errorf("%+v, %v", o, err)
		}
		fi, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return fi
	}
	first := put("one", storage.Attributes{CacheControl: "max-age=2"})
	if !os.SameFile(first, put("two", storage.Attributes{CacheControl: "max-age=2"})) {
		t.Error("written again")
	}
	put("three", storage.Attributes{CacheControl: "max-age=60"})
	packed := put("four", storage.Attributes{CacheControl: "max-age=60", ContentEncoding: "gzip"})
	if os.SameFile(packed, put("five", storage.Attributes{CacheControl: "max-age=60", ContentEncoding: "gzip"})) {
		t.Error("an encoding is that of other bytes")
	}
	put("six", storage.Attributes{CacheControl: "max-age=60"})
	if err := os.WriteFile(filepath.Join(dir, "live.m3u8"), []byte("by hand"), 0o666); err != nil {
		t.Fatal(err)
	}
	if o, err := s.Stat(t.Context(), "live.m3u8"); err != nil || o.CacheControl != "max-age=60" {
		t.Errorf("%+v, %v", o, err)
	}
}

// Writers and removers of neighbouring keys make and prune directories at the same time.
func TestPruneAgainstPut(t *testing.T) {
	s := open(t, Options{NoFsync: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if _, err := s.Put(t.Context(), "a/b/c/1", strings.NewReader("x"), storage.Attributes{CacheControl: "x"}); err != nil {
				t.Error(err)
			}
			if err := s.Remove(t.Context(), "a/b/c/1"); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 500 {
		if _, err := s.Put(t.Context(), "a/b/c/2", strings.NewReader("x"), storage.Attributes{CacheControl: "x", IfAbsent: true}); err != nil {
			t.Error(err)
		}
		if err := s.Remove(t.Context(), "a/b/c/2"); err != nil {
			t.Error(err)
		}
	}
	cancel()
	<-done
}

func TestNotWritable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	s := open(t, Options{Path: dir})
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "a", strings.NewReader("x"), storage.Attributes{}); !errors.Is(err, storage.ErrPermanent) {
		t.Errorf("put: %v", err)
	}
}

// A file where the directory should be is somebody's to correct, and nothing that heals.
func TestFileInTheWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Join(path, "bucket")} {
		if _, err := Open(Options{Path: p}); !errors.Is(err, storage.ErrPermanent) || !strings.Contains(err.Error(), "correct storage.url") {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	body := storetest.Random(1, 1500*1000)
	for name, o := range map[string]Options{"fsync": {}, "no fsync": {NoFsync: true}} {
		b.Run(name, func(b *testing.B) {
			s := open(b, o)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Put(b.Context(), "a/1.ts", bytes.NewReader(body), storage.Attributes{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A copy takes the file of what it is a copy of where that is the same, and its own where it is not, or is none.
func TestPutCopy(t *testing.T) {
	s := open(t, Options{})
	path := func(key string) string { return filepath.Join(s.root.Name(), filepath.FromSlash(key)) }
	put := func(key, body, of string, match string) string {
		t.Helper()
		etag, err := s.Put(t.Context(), key, strings.NewReader(body), storage.Attributes{CopyOf: of, IfMatch: match, CacheControl: "max-age=2"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path(key)); err != nil || string(got) != body {
			t.Fatalf("%s has %q, %v, not %q", key, got, err, body)
		}
		if o, err := s.Stat(t.Context(), key); err != nil || o.ETag != etag || o.CacheControl != "max-age=2" {
			t.Fatalf("%s: %+v, %v; Put said %s", key, o, err, etag)
		}
		left, err := os.ReadDir(path(tempDir))
		if err != nil || len(left) > 0 {
			t.Fatalf("%v, %v are left", left, err)
		}
		return etag
	}
	one := func(a, b string) bool {
		t.Helper()
		fi, err := os.Stat(path(a))
		other, err2 := os.Stat(path(b))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		return os.SameFile(fi, other)
	}
	live := put("a/live.m3u8", "1", "", "")
	twin := put("a/ll.m3u8", "1", "a/live.m3u8", "")
	if !one("a/live.m3u8", "a/ll.m3u8") {
		t.Error("a copy is a file of its own")
	}
	twin = put("a/ll.m3u8", "1", "a/live.m3u8", twin) // its answer was lost
	live = put("a/live.m3u8", "2", "", live)
	if got, err := os.ReadFile(path("a/ll.m3u8")); err != nil || string(got) != "1" {
		t.Errorf("the copy became %q, %v", got, err)
	}
	twin = put("a/ll.m3u8", "2", "a/live.m3u8", twin)
	put("a/live.m3u8", "3", "", live)
	put("a/ll.m3u8", "2", "a/live.m3u8", twin)
	if one("a/live.m3u8", "a/ll.m3u8") {
		t.Error("what is not the same is one file")
	}
	put("a/other.m3u8", "4", "a/none.m3u8", "")
	put("a/other2.m3u8", "4", "../outside", "")
	if err := os.Symlink("live.m3u8", path("a/link.m3u8")); err != nil {
		t.Fatal(err)
	}
	put("a/other3.m3u8", "3", "a/link.m3u8", "")
	if fi, err := os.Lstat(path("a/other3.m3u8")); err != nil || !fi.Mode().IsRegular() {
		t.Errorf("%v, %v", fi, err)
	}
}

// A live playlist replaces the one before it, once a segment.
func BenchmarkPutPlaylist(b *testing.B) {
	s := open(b, Options{NoFsync: true})
	const key = "live/streams/cam/2026-11-29_23-00-00.000/live.m3u8"
	bodies := [2][]byte{storetest.Random(1, 1200), storetest.Random(2, 1200)}
	a := storage.AttributesOf(segmenter.KindLive, 4, false)
	etag, err := s.Put(b.Context(), key, bytes.NewReader(bodies[0]), a)
	b.ReportAllocs()
	for i := 1; b.Loop() && err == nil; i++ {
		a.IfMatch = etag
		etag, err = s.Put(b.Context(), key, bytes.NewReader(bodies[i%2]), a)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// A directory's time is that of its file system, by which objects are dated, and reading it leaves nothing behind.
func TestTimeIsTheFileSystems(t *testing.T) {
	path := t.TempDir()
	lazy := NewLazy(Options{Path: path})
	defer lazy.Close()
	at, err := lazy.Time(t.Context())
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("%v, %v", at, err)
	}
	if _, err := lazy.Put(t.Context(), "a.ts", strings.NewReader("x"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	if o, err := lazy.Stat(t.Context(), "a.ts"); err != nil || o.Modified.Before(at) {
		t.Errorf("%v is before %v, %v", o.Modified, at, err)
	}
	left, err := os.ReadDir(filepath.Join(path, tempDir))
	if err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if at, err := lazy.Time(t.Context()); err == nil {
		t.Errorf("a directory that is gone tells %v", at)
	}
}
