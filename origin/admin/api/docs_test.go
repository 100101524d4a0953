package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

var updateDocs = flag.Bool("update", false, "rewrite what is generated")

// document is the OpenAPI document, as far as the page shows it.
type document struct {
	Info       struct{ Description string }
	Tags       []struct{ Name, Description string }
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	Summary, Description string
	Tags                 []string
	Parameters           []struct {
		Name, In, Description string
		Required              bool
		Schema                schema
	}
	RequestBody *struct {
		Content map[string]struct{ Schema schema }
	}
	Responses map[string]struct {
		Content map[string]struct{ Schema schema }
	}
}

type schema struct {
	Type        any
	Ref         string `json:"$ref"`
	Format      string
	Description string
	Default     any
	Enum        []any
	Properties  map[string]schema
	Items       *schema
	Required    []string
}

func (s *schema) kind() string {
	switch {
	case s.Ref != "":
		name := path.Base(s.Ref)
		return fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
	case s.Items != nil:
		return "list of " + s.Items.kind()
	case s.Format == "date-time":
		return "time"
	case len(s.Enum) > 0:
		var all []string
		for _, e := range s.Enum {
			all = append(all, fmt.Sprintf("`%v`", e))
		}
		return strings.Join(all, ", ")
	}
	return fmt.Sprint(s.Type)
}

// page renders the document.
func page(d *document) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# API\n\n<!-- Made from the OpenAPI document by `go test ./origin/admin/api -run TestDocumentation -update`. -->\n\n%s\n\n"+
		"The whole description, for programs, is at `/openapi.json`, and in [openapi.json](openapi.json). By hand, `hlsorigin ctl` does the most usual of it:\n\n"+
		"```\nhlsorigin keys new                                  # a token, and the hash for admin.tokens\n"+
		"curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:5081/v1/streams\n"+
		"curl -X DELETE -H 'Content-Type: application/json' -d '{\"reason\": \"wrong channel\"}' http://127.0.0.1:5081/v1/streams/live/cam\n```\n", d.Info.Description)
	used := map[string]bool{}
	for _, tag := range d.Tags {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", strings.ToUpper(tag.Name[:1])+tag.Name[1:], tag.Description)
		for _, p := range slices.Sorted(maps.Keys(d.Paths)) {
			for _, method := range []string{"get", "post", "put", "delete"} {
				if o, ok := d.Paths[p][method]; ok && o.Tags[0] == tag.Name {
					call(&b, strings.ToUpper(method), p, &o, d, used)
				}
			}
		}
	}
	b.WriteString("\n## Types\n")
	for done := map[string]bool{}; ; {
		var next string
		for _, name := range slices.Sorted(maps.Keys(used)) {
			if !done[name] {
				next = name
				break
			}
		}
		if next == "" {
			break
		}
		done[next] = true
		fmt.Fprintf(&b, "\n### %s\n\n", next)
		s := d.Components.Schemas[next]
		fields(&b, &s, used, nil)
	}
	return b.Bytes()
}

// call is one operation.
func call(b *bytes.Buffer, method, p string, o *operation, d *document, used map[string]bool) {
	fmt.Fprintf(b, "\n### %s %s\n\n%s.", method, p, o.Summary)
	if o.Description != "" {
		fmt.Fprintf(b, " %s", o.Description)
	}
	b.WriteString("\n\n")
	if len(o.Parameters) > 0 {
		b.WriteString("| parameter | in | type | |\n|---|---|---|---|\n")
		for _, q := range o.Parameters {
			says := q.Description
			if q.Schema.Default != nil {
				says += fmt.Sprintf(" Default %v.", q.Schema.Default)
			}
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", q.Name, q.In, q.Schema.kind(), says)
		}
		b.WriteString("\n")
	}
	if o.RequestBody != nil {
		s := resolved(o.RequestBody.Content["application/json"].Schema, d)
		b.WriteString("The body:\n\n")
		fields(b, &s, used, s.Required)
		b.WriteString("\n")
	}
	for content, c := range o.Responses["200"].Content {
		s := c.Schema
		switch name := path.Base(s.Ref); {
		case s.Ref == "":
			fmt.Fprintf(b, "Answer: `%s`.\n", content)
		case strings.HasSuffix(name, "Body"):
			s = resolved(s, d)
			b.WriteString("The answer:\n\n")
			fields(b, &s, used, nil)
		default:
			used[name] = true
			fmt.Fprintf(b, "Answer: %s.\n", s.kind())
		}
	}
	var errors []string
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		if status >= "400" && status != "500" {
			errors = append(errors, status)
		}
	}
	fmt.Fprintf(b, "\nErrors: %s.\n", strings.Join(errors, ", "))
}

func resolved(s schema, d *document) schema {
	if s.Ref == "" {
		return s
	}
	return d.Components.Schemas[path.Base(s.Ref)]
}

// fields is a table of an object's fields.
func fields(b *bytes.Buffer, s *schema, used map[string]bool, required []string) {
	b.WriteString("| field | type | |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		f := s.Properties[name]
		for _, e := range []*schema{&f, f.Items} {
			if e != nil && e.Ref != "" {
				used[path.Base(e.Ref)] = true
			}
		}
		says := f.Description
		if slices.Contains(required, name) {
			says = strings.TrimSpace(says + " Required.")
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, f.kind(), says)
	}
}

func TestDocumentation(t *testing.T) {
	b, err := New(Options{Version: "v1"}).Document()
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string][]byte{"../../../docs/api.md": page(&d), "../../../docs/openapi.json": append(b, '\n')} {
		if *updateDocs {
			if err := os.WriteFile(at, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(at); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the API says: go test ./origin/admin/api -run TestDocumentation -update (%v)", at, err)
		}
	}
}
