package attack

import (
	"debug/buildinfo"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

var update = flag.Bool("update", false, "rewrite what is generated")

// TestDependenciesAreListed keeps the list in SECURITY.md; -update rewrites it.
func TestDependenciesAreListed(t *testing.T) {
	program, err := rig.Program()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| module | version |\n|---|---|\n")
	for _, m := range info.Deps {
		fmt.Fprintf(&b, "| `%s` | %s |\n", m.Path, m.Version)
	}
	const path, begin, end = "../../SECURITY.md", "<!-- dependencies -->\n", "<!-- end of dependencies -->"
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(doc), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 || len(info.Deps) == 0 {
		t.Fatalf("%s has lost the marks of its list, or the program has no modules", path)
	}
	want := head + begin + b.String() + end + tail
	switch {
	case want == string(doc):
	case *update:
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the program is built of: go test ./test/attack -run Dependencies -update", path)
	}
}
