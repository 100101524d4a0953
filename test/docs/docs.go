// Package docs maintains the parts of the documentation that are generated from the program: a test passes what a part must be, and its
// -update flag writes it. It refuses to make any text, and only tests may import it.
package docs

import (
	"os"
	"strings"
	"testing"
)

// Section compares the part of a file between two marks, each a whole line, with want. With update it writes want there instead.
func Section(t *testing.T, path, begin, end, want string, update bool) {
	t.Helper()
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(doc), begin+"\n")
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has lost its marks %s and %s", path, begin, end)
	}
	switch now := head + begin + "\n" + want + end + tail; {
	case now == string(doc):
	case update:
		if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the program says: go test the package again, with -run %s -update", path, t.Name())
	}
}
