package deploy

import (
	"bytes"
	"debug/buildinfo"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/xeipuuv/gojsonschema"
)

// schema is CycloneDX's own schema of a version, which its Go module carries, with those that it refers to: nothing is fetched.
func schema(t *testing.T, name string) *gojsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string) gojsonschema.JSONLoader {
		return gojsonschema.NewReferenceLoader("file://" + filepath.Join(strings.TrimSpace(string(dir)), "schema", name))
	}
	l := gojsonschema.NewSchemaLoader()
	for _, name := range []string{"spdx.schema.json", "jsf-0.82.schemax.json"} {
		if err := l.AddSchemas(file(name)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := l.Compile(file(name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBillOfMaterials reads the bill that a release has for the program as others do, and compares it with what the program says itself.
func TestBillOfMaterials(t *testing.T) {
	path := program(t)
	cmd := exec.Command("go", "run", "./cmd/release", "-version", "v1.2.3", "-sbom", path)
	cmd.Dir = filepath.Join("..", "..")
	bill, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	result, err := schema(t, "bom-1.6.schema.json").Validate(gojsonschema.NewBytesLoader(bill))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range result.Errors() {
		t.Error(e)
	}
	var b cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(bill), cyclonedx.BOMFileFormatJSON).Decode(&b); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.Metadata.Component.Version != "v1.2.3" || b.Metadata.Component.Name != info.Main.Path {
		t.Errorf("it is of %+v", b.Metadata.Component)
	}
	known := map[string]string{}
	for _, c := range *b.Components {
		if known[c.Name] != "" || c.PackageURL == "" {
			t.Errorf("%+v stands there twice, or has no address", c)
		}
		known[c.Name] = c.Version
	}
	for _, d := range info.Deps {
		if known[d.Path] != d.Version {
			t.Errorf("%s is in the program with %s, in the bill with %q", d.Path, d.Version, known[d.Path])
		}
	}
	if v := "go" + known["std"]; v != info.GoVersion {
		t.Errorf("Go is %s, in the bill %s", info.GoVersion, v)
	}
	if n := len(*(*b.Dependencies)[0].Dependencies); n != len(*b.Components) {
		t.Errorf("the program is made of %d components, and of %d", len(*b.Components), n)
	}
}
