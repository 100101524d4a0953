package main

import (
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"runtime/debug"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestCycloneDX holds the whole bill of a small program. test/deploy reads that of the real one by CycloneDX's own schema.
func TestCycloneDX(t *testing.T) {
	m := materials{
		program: []byte("a program"), version: "v1.2.3", date: time.Unix(1_800_000_000, 0), script: &script{"1.6.19", []byte{1, 2, 3}},
		info: &debug.BuildInfo{
			GoVersion: "go1.26.8 X:nodwarf5", Main: debug.Module{Path: "example.org/program", Version: "(devel)"},
			Deps: []*debug.Module{
				{Path: "example.org/Some/module", Version: "v2.0.0+incompatible", Sum: "h1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="},
				{Path: "example.org/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/new", Version: "v1.0.1"}},
			},
			Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "-ldflags", Value: "-X main.secret=x"}, {Key: "vcs.revision", Value: "0123"}},
		},
	}
	const golden = "testdata/small.cdx.json"
	got := m.cycloneDX()
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Error(d)
	}
	m.program = []byte("another")
	var a, b bom
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(m.cycloneDX(), &b); err != nil {
		t.Fatal(err)
	}
	if a.Serial == b.Serial || !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(a.Serial) {
		t.Errorf("serial numbers %s and %s", a.Serial, b.Serial)
	}
}
