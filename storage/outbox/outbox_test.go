package outbox

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage/regular"
)

func open(t *testing.T, path string) (*Box, []string, int) {
	t.Helper()
	b, found, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	var records []string
	for _, r := range found.Records {
		records = append(records, string(r))
	}
	return b, records, found.Damaged
}

func add(t *testing.T, b *Box, records ...string) {
	t.Helper()
	for _, r := range records {
		if err := b.Append([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
}

func want(t *testing.T, got []string, records ...string) {
	t.Helper()
	if strings.Join(got, "|") != strings.Join(records, "|") {
		t.Errorf("got %q, want %q", got, records)
	}
}

func TestWhatWasAppendedIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "box")
	b, got, _ := open(t, path)
	want(t, got)
	add(t, b, "one", "", "three")
	_, got, damaged := open(t, path)
	if want(t, got, "one", "", "three"); damaged != 0 {
		t.Error(damaged, "damaged")
	}
}

// A crash may tear the last line at any byte. What came before is found, and so is what is appended afterwards.
func TestTornAtEveryByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box")
	b, _, _ := open(t, path)
	add(t, b, "one", "two")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		b, got, damaged := open(t, path)
		lines := max(strings.Count(string(whole[:n]), "\n")-1, 0)
		kept := []string{"one", "two"}[:lines]
		want(t, got, kept...)
		if torn := n > len(magic) && whole[n-1] != '\n'; torn != (damaged == 1) {
			t.Errorf("cut at %d: %d damaged", n, damaged)
		}
		add(t, b, "")
		_, got, damaged = open(t, path)
		if want(t, got, append(kept, "")...); damaged != 0 {
			t.Errorf("cut at %d: %d damaged after the next start", n, damaged)
		}
	}
}

// A damaged line affects no other.
func TestDamageInTheMiddle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box")
	b, _, _ := open(t, path)
	add(t, b, "one", "two", "three")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"another byte": bytes.Replace(whole, []byte("two"), []byte("tWo"), 1),
		"another sum":  bytes.Replace(whole, []byte(" two"), []byte("0two"), 1),
		"too long":     bytes.Replace(whole, []byte("two"), bytes.Repeat([]byte("two"), 3*MaxRecord), 1),
		"zeroes":       bytes.Replace(whole, []byte("two"), make([]byte, 3), 1),
	} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		b, got, damaged := open(t, path)
		want(t, got, "one", "three")
		if damaged != 1 {
			t.Errorf("%s: %d damaged", name, damaged)
		}
		add(t, b, "four")
		_, got, _ = open(t, path)
		want(t, got, "one", "three", "four")
	}
}

func TestRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box")
	b, _, _ := open(t, path)
	add(t, b, "one", "two", "three")
	before := b.Size()
	if err := b.Rewrite([][]byte{[]byte("two")}); err != nil {
		t.Fatal(err)
	}
	if b.Size() >= before {
		t.Errorf("%d bytes before, %d after", before, b.Size())
	}
	add(t, b, "four")
	_, got, _ := open(t, path)
	want(t, got, "two", "four")
	if _, err := os.Stat(path + tempSuffix); err == nil {
		t.Error("the temporary file was left")
	}
}

// A rewrite interrupted by a crash leaves the old file, and the next start removes its leftovers.
func TestCutRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box")
	b, _, _ := open(t, path)
	add(t, b, "one")
	if err := os.WriteFile(path+tempSuffix, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, got, _ := open(t, path)
	want(t, got, "one")
	if _, err := os.Stat(path + tempSuffix); err == nil {
		t.Error("the temporary file was left")
	}
}

// A removed file is noticed, and a rewrite creates it again, with its folder.
func TestFileTakenAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sub")
	path := filepath.Join(dir, "box")
	b, _, _ := open(t, path)
	add(t, b, "one")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := b.Append([]byte("two")); err == nil {
		t.Error("a record went to a file that is gone")
	}
	if err := b.Rewrite([][]byte{[]byte("one"), []byte("two")}); err != nil {
		t.Fatal(err)
	}
	_, got, _ := open(t, path)
	want(t, got, "one", "two")
}

func TestFilesThatAreNotOurs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "box")
	for _, content := range []string{"hlsorigin outbox 2\nx\n", "something else", "\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(Options{Path: path}); !errors.Is(err, ErrLater) {
			t.Errorf("%q: %v", content, err)
		}
		if left, _ := os.ReadFile(path); string(left) != content {
			t.Errorf("%q was changed to %q", content, left)
		}
	}
	if _, _, err := Open(Options{Path: dir}); !errors.Is(err, regular.ErrNotFile) {
		t.Errorf("a directory: %v", err)
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte(magic), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(Options{Path: link}); !errors.Is(err, regular.ErrNotFile) {
		t.Errorf("a link: %v", err)
	}
}

func FuzzReadAll(f *testing.F) {
	f.Add([]byte(magic))
	f.Add(appendLine([]byte(magic), []byte(`{"event":{}}`)))
	f.Add([]byte(magic + "00000000 \n00000000 x\nzz"))
	f.Fuzz(func(t *testing.T, b []byte) {
		found, end, err := readAll(bytes.NewReader(b))
		if err != nil {
			return
		}
		if end < 0 || end > int64(len(b)) {
			t.Fatalf("ends at %d of %d", end, len(b))
		}
		// What was found is found again after a rewrite.
		again := []byte(magic)
		for _, r := range found.Records {
			again = appendLine(again, r)
		}
		second, _, err := readAll(bytes.NewReader(again))
		if err != nil || second.Damaged > 0 || len(second.Records) != len(found.Records) {
			t.Fatalf("%v: %d of %d records, %d damaged", err, len(second.Records), len(found.Records), second.Damaged)
		}
	})
}
