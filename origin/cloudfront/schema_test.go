package cloudfront

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// schema is one of the tables in testdata: which properties exist, by path, and which are required.
type schema struct {
	kind     map[string]string   // path → type
	required map[string][]string // path of the parent → names
}

func openSchema(t *testing.T, path string) schema {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := schema{kind: map[string]string{}, required: map[string][]string{}}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "#") || len(fields) == 0 {
			continue
		}
		if len(fields) != 3 {
			t.Fatalf("%s: %q is no row", path, line)
		}
		s.kind[fields[0]] = fields[1]
		if fields[2] == "required" {
			i := strings.LastIndexByte(fields[0], '.')
			s.required[fields[0][:i]] = append(s.required[fields[0][:i]], fields[0][i+1:])
		}
	}
	return s
}

// property returns the type of a property, and what is wrong if there is none.
func (s schema) property(path string) (string, error) {
	kind, ok := s.kind[path]
	if !ok {
		return "", fmt.Errorf("%s: there is no such property", path)
	}
	return kind, nil
}

// missing returns the required properties of path that has lacks.
func (s schema) missing(path string, has func(string) bool) (errs []error) {
	for _, name := range s.required[path] {
		if !has(name) {
			errs = append(errs, fmt.Errorf("%s: %s is missing", path, name))
		}
	}
	return errs
}
