package claim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server keeps its name, whatever its host is called later; another directory is another server.
func TestNode(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	name, err := Node(one, "origin1.example")
	if err != nil || !strings.HasPrefix(name, "origin1.example-") {
		t.Fatalf("%q, %v", name, err)
	}
	if again, err := Node(one, "origin2"); err != nil || again != name {
		t.Errorf("%q, %v", again, err)
	}
	if other, err := Node(two, "origin1.example"); err != nil || other == name {
		t.Errorf("%q, %v", other, err)
	}
}

// What is no name is replaced by one, and what cannot be read or written is said.
func TestNodeFileIsDamaged(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "a line break": "a\nb\n", "binary": "a\x00"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, nodeFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		node, err := Node(dir, "h\nost/1")
		if again, e := Node(dir, ""); err != nil || e != nil || node != again || !strings.HasPrefix(node, "host1-") {
			t.Errorf("%s: %q, %v, then %q, %v", name, node, err, again, e)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, nodeFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if node, err := Node(dir, ""); err == nil || !strings.HasPrefix(node, "server-") {
		t.Errorf("%q, %v", node, err)
	}
	if node, err := Node(filepath.Join(dir, "none"), "h"); err == nil || node == "" {
		t.Errorf("%q, %v", node, err)
	}
}
