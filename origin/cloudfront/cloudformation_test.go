package cloudfront

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/google/go-cmp/cmp"
)

// call is a CloudFormation function: !Ref x, !Sub x, !If [c, a, b].
type call struct {
	name     string
	argument any
}

// readYAML reads a template, including its tags.
func readYAML(t *testing.T, text []byte) map[string]any {
	t.Helper()
	f, err := parser.ParseBytes(text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Docs) != 1 {
		t.Fatalf("%d documents", len(f.Docs))
	}
	return plain(t, f.Docs[0].Body).(map[string]any)
}

func plain(t *testing.T, n ast.Node) any {
	t.Helper()
	switch n := n.(type) {
	case *ast.TagNode:
		return call{n.Start.Value, plain(t, n.Value)}
	case *ast.MappingNode:
		out := map[string]any{}
		for _, v := range n.Values {
			if _, twice := out[v.Key.String()]; twice {
				t.Fatalf("key %s is there twice", v.Key)
			}
			out[v.Key.String()] = plain(t, v.Value)
		}
		return out
	case *ast.MappingValueNode:
		return map[string]any{n.Key.String(): plain(t, n.Value)}
	case *ast.SequenceNode:
		out := []any{}
		for _, v := range n.Values {
			out = append(out, plain(t, v))
		}
		return out
	}
	var out any
	if err := yaml.NodeToValue(n, &out); err != nil {
		t.Fatal(err)
	}
	if u, ok := out.(uint64); ok {
		return int(u)
	}
	return out
}

// at returns the value at a path: names of keys, and numbers of list items.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for i, step := range path {
		switch s := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok || m[s] == nil {
				t.Fatalf("%v: nothing there", path[:i+1])
			}
			v = m[s]
		case int:
			l, ok := v.([]any)
			if !ok || len(l) <= s {
				t.Fatalf("%v: nothing there", path[:i+1])
			}
			v = l[s]
		}
	}
	return v
}

// agrees compares a value with the specification for its path.
func agrees(s schema, path, kind string, v any) (errs []error) {
	if c, ok := v.(call); ok { // its value is known when it is applied; a choice has both now
		if c.name == "!If" {
			for _, option := range c.argument.([]any)[1:] {
				errs = append(errs, agrees(s, path, kind, option)...)
			}
		}
		return errs
	}
	if item, many := strings.CutPrefix(kind, "List:"); many {
		list, ok := v.([]any)
		if !ok {
			return []error{fmt.Errorf("%s: %v is no list", path, v)}
		}
		for _, e := range list {
			errs = append(errs, agrees(s, path, item, e)...)
		}
		return errs
	}
	right := true
	switch kind {
	case "String":
		_, right = v.(string)
	case "Integer", "Double", "Long":
		_, right = v.(int)
	case "Boolean":
		_, right = v.(bool)
	case "Json":
		_, right = v.(map[string]any)
	default:
		m, ok := v.(map[string]any)
		if !ok {
			return []error{fmt.Errorf("%s: %v is no %s", path, v, kind)}
		}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			inner, err := s.property(path + "." + name)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			errs = append(errs, agrees(s, path+"."+name, inner, m[name])...)
		}
		return append(errs, s.missing(path, func(n string) bool { return m[n] != nil })...)
	}
	if !right {
		return []error{fmt.Errorf("%s: %v is no %s", path, v, kind)}
	}
	return nil
}

func TestCloudFormationAgreesWithSpecification(t *testing.T) {
	s := openSchema(t, "testdata/cloudformation.txt")
	for name, o := range cases() {
		text, _ := printed(t, o)
		for resource, r := range at(t, readYAML(t, text), "Resources").(map[string]any) {
			kind := at(t, r, "Type").(string)
			for _, err := range agrees(s, kind, "Resource", at(t, r, "Properties")) {
				t.Errorf("%s: %s: %v", name, resource, err)
			}
		}
	}
}

func TestSpecificationFindsMistakes(t *testing.T) {
	s := openSchema(t, "testdata/cloudformation.txt")
	const policy = "AWS::CloudFront::CachePolicy"
	for _, c := range []struct{ yaml, want string }{
		{"CachePolicyConfig: {Name: a, DefaultTTL: 1, MaxTTL: 1, MinTTL: 0, TTL: 1, ParametersInCacheKeyAndForwardedToOrigin: !Ref x}", "TTL: there is no such"},
		{"CachePolicyConfig: {Name: a, DefaultTTL: one, MaxTTL: 1, MinTTL: 0, ParametersInCacheKeyAndForwardedToOrigin: !Ref x}", "one is no Double"},
		{"CachePolicyConfig: {Name: a, MaxTTL: 1, MinTTL: 0, ParametersInCacheKeyAndForwardedToOrigin: !Ref x}", "DefaultTTL is missing"},
	} {
		err := errors.Join(agrees(s, policy, "Resource", any(readYAML(t, []byte(c.yaml))))...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %q", c.yaml, err, c.want)
		}
	}
}

// TestCloudFormationReferences checks that everything referred to is declared, and everything declared is used.
func TestCloudFormationReferences(t *testing.T) {
	for name, o := range cases() {
		text, _ := printed(t, o)
		doc := readYAML(t, text)
		used := map[string]bool{}
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case call:
				switch v.name {
				case "!Ref":
					used[v.argument.(string)] = true
				case "!GetAtt":
					used[strings.Split(v.argument.(string), ".")[0]] = true
				case "!If":
					used[v.argument.([]any)[0].(string)] = true
				case "!Sub":
					for _, part := range strings.Split(v.argument.(string), "${")[1:] {
						used[strings.Split(part, "}")[0]] = true
					}
				}
				walk(v.argument)
			case map[string]any:
				if c, ok := v["Condition"].(string); ok {
					used[c] = true
				}
				for _, e := range v {
					walk(e)
				}
			case []any:
				for _, e := range v {
					walk(e)
				}
			}
		}
		walk(doc)
		declared := map[string]bool{}
		for _, section := range []string{"Parameters", "Conditions", "Resources"} {
			m, _ := doc[section].(map[string]any)
			for n := range m {
				declared[n] = true
				if !used[n] && n != "BucketPolicy" {
					t.Errorf("%s: %s %s is used nowhere", name, section, n)
				}
			}
		}
		for n := range used {
			if !declared[n] && !strings.HasPrefix(n, "AWS::") {
				t.Errorf("%s: there is no %s", name, n)
			}
		}
	}
}

// TestCFNLint asks the linter that carries the schemas with which CloudFormation itself validates.
func TestCFNLint(t *testing.T) {
	lint, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("cfn-lint is not installed (pip install cfn-lint)")
	}
	dir := t.TempDir()
	args := []string{"--format", "parseable", "--non-zero-exit-code", "informational", "--"}
	write := func(name string, text []byte) {
		path := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	for name, o := range cases() {
		text, _ := printed(t, o)
		write(name, text)
	}
	text, _ := printed(t, cases()["plain"])
	write("wrong", bytes.Replace(text, []byte("HTTPPort"), []byte("HTTPGate"), 1)) // to see that it checks
	out, err := exec.CommandContext(t.Context(), lint, args...).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("HTTPGate")) {
		t.Errorf("cfn-lint let a wrong property pass: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, filepath.Join(dir, "wrong.yaml")) {
			t.Errorf("cfn-lint: %s", line)
		}
	}
}

func TestSecretIsAParameterThatIsNotShown(t *testing.T) {
	text, _ := printed(t, cases()["full"])
	doc := readYAML(t, text)
	p := at(t, doc, "Parameters", "OriginSecret").(map[string]any)
	if p["NoEcho"] != true || p["Default"] != nil {
		t.Errorf("OriginSecret is %v: shown, or with a value", p)
	}
	want := []any{map[string]any{"HeaderName": "X-Origin-Secret", "HeaderValue": call{"!Ref", "OriginSecret"}}}
	got := at(t, doc, "Resources", "Distribution", "Properties", "DistributionConfig", "Origins", 0, "OriginCustomHeaders")
	if d := cmp.Diff(want, got, cmp.AllowUnexported(call{})); d != "" {
		t.Error(d)
	}
	text, _ = printed(t, cases()["plain"])
	if bytes.Contains(text, []byte("OriginSecret")) || bytes.Contains(text, []byte("OriginCustomHeaders")) {
		t.Error("a server without a secret is sent one")
	}
}

// TestUploaderMayDoNoMore checks that the actions are exactly those that the server's settings need.
func TestUploaderMayDoNoMore(t *testing.T) {
	base := cases()["plain"]
	for _, c := range []struct {
		bucket Bucket
		want   []any
	}{
		{Bucket{}, []any{"s3:PutObject", "s3:GetObject"}},
		{Bucket{Remove: true}, []any{"s3:PutObject", "s3:GetObject", "s3:DeleteObject"}},
		{Bucket{ACL: true}, []any{"s3:PutObject", "s3:GetObject", "s3:PutObjectAcl"}},
		{Bucket{Tags: true}, []any{"s3:PutObject", "s3:GetObject", "s3:PutObjectTagging"}},
	} {
		o := base
		c.bucket.Name, c.bucket.Prefix = "bucket", "a/"
		o.Bucket = &c.bucket
		text, _ := printed(t, o)
		statements := at(t, readYAML(t, text), "Resources", "Uploader", "Properties", "PolicyDocument", "Statement").([]any)
		if len(statements) != 2 {
			t.Fatalf("%+v: %d statements", c.bucket, len(statements))
		}
		if d := cmp.Diff(c.want, at(t, statements[0], "Action")); d != "" {
			t.Errorf("%+v: %s", c.bucket, d)
		}
		if got := at(t, statements[0], "Resource").(call).argument; got != "arn:${AWS::Partition}:s3:::bucket/a/*" {
			t.Errorf("objects: %v", got)
		}
		if got := at(t, statements[1], "Action"); got != "s3:ListBucket" {
			t.Errorf("listing: %v", got)
		}
		if got := at(t, statements[1], "Condition", "StringLikeIfExists", "s3:prefix"); got != "a/*" {
			t.Errorf("listing: prefix %v", got)
		}
	}
}
