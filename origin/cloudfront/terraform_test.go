package cloudfront

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// block is an HCL block with its content.
type block struct {
	kind       string
	labels     []string
	attributes map[string]hclsyntax.Expression
	blocks     []block
}

func readHCL(t *testing.T, text []byte) block {
	t.Helper()
	f, diagnostics := hclsyntax.ParseConfig(text, "printed.tf", hcl.InitialPos)
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	return newBlock("", nil, f.Body.(*hclsyntax.Body))
}

func newBlock(kind string, labels []string, body *hclsyntax.Body) block {
	b := block{kind: kind, labels: labels, attributes: map[string]hclsyntax.Expression{}}
	for name, a := range body.Attributes {
		b.attributes[name] = a.Expr
	}
	for _, inner := range body.Blocks {
		b.blocks = append(b.blocks, newBlock(inner.Type, inner.Labels, inner.Body))
	}
	return b
}

// constant returns the value of an expression without references.
func constant(e hclsyntax.Expression) any {
	v, diagnostics := e.Value(nil)
	if diagnostics.HasErrors() {
		return nil
	}
	return fromCty(v)
}

func fromCty(v cty.Value) any {
	switch {
	case v.Type() == cty.String:
		return v.AsString()
	case v.Type() == cty.Bool:
		return v.True()
	case v.Type() == cty.Number:
		n, _ := v.AsBigFloat().Int64()
		return int(n)
	case v.CanIterateElements():
		out := []any{}
		for _, e := range v.AsValueSlice() {
			out = append(out, fromCty(e))
		}
		return out
	}
	return nil
}

// values returns the constants of a block and of those in it; blocks of one kind are a list.
func (b block) values() map[string]any {
	out := map[string]any{}
	for name, e := range b.attributes {
		if v := constant(e); v != nil && name != "count" {
			out[name] = v
		}
	}
	for _, inner := range b.blocks {
		list, _ := out[inner.kind].([]any)
		out[inner.kind] = append(list, inner.values())
	}
	return out
}

// find returns the one block with this kind and these labels.
func (b block) find(t *testing.T, kind string, labels ...string) block {
	t.Helper()
	i := slices.IndexFunc(b.blocks, func(c block) bool { return c.kind == kind && slices.Equal(c.labels, labels) })
	if i < 0 {
		t.Fatalf("there is no %s %v", kind, labels)
	}
	return b.blocks[i]
}

// meta are the arguments that Terraform itself understands in every resource.
var meta = []string{"count", "for_each", "depends_on", "provider", "lifecycle"}

// provided compares a block with the provider's schema at path.
func provided(s schema, path string, b block) (errs []error) {
	count := map[string]int{}
	for name, e := range b.attributes {
		count[name]++
		if slices.Contains(meta, name) {
			continue
		}
		kind, err := s.property(path + "." + name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		item, many := strings.CutPrefix(kind, "list:")
		values := []any{constant(e)}
		if many {
			values, _ = values[0].([]any)
		}
		for _, v := range values {
			switch v.(type) {
			case nil: // known when it is applied
			case string:
				if item != "string" {
					errs = append(errs, fmt.Errorf("%s.%s: %v is no %s", path, name, v, item))
				}
			case int:
				if item != "number" {
					errs = append(errs, fmt.Errorf("%s.%s: %v is no %s", path, name, v, item))
				}
			case bool:
				if item != "boolean" {
					errs = append(errs, fmt.Errorf("%s.%s: %v is no %s", path, name, v, item))
				}
			default:
				errs = append(errs, fmt.Errorf("%s.%s: %v is no %s", path, name, v, item))
			}
		}
	}
	for _, inner := range b.blocks {
		count[inner.kind]++
		if slices.Contains(meta, inner.kind) {
			continue
		}
		switch kind, err := s.property(path + "." + inner.kind); {
		case err != nil:
			errs = append(errs, err)
		case kind != "block" && kind != "list:block":
			errs = append(errs, fmt.Errorf("%s.%s is a %s, not a block", path, inner.kind, kind))
		case kind == "block" && count[inner.kind] > 1:
			errs = append(errs, fmt.Errorf("%s.%s: one is allowed", path, inner.kind))
		default:
			errs = append(errs, provided(s, path+"."+inner.kind, inner)...)
		}
	}
	return append(errs, s.missing(path, func(n string) bool { return count[n] > 0 })...)
}

func TestTerraformAgreesWithProvider(t *testing.T) {
	s := openSchema(t, "testdata/terraform.txt")
	for name, o := range cases() {
		_, text := printed(t, o)
		for _, b := range readHCL(t, text).blocks {
			path := ""
			switch b.kind {
			case "resource":
				path = b.labels[0]
			case "data":
				path = "data." + b.labels[0]
			case "terraform", "variable", "output":
				continue
			default:
				t.Errorf("%s: a %s", name, b.kind)
			}
			for _, err := range provided(s, path, b) {
				t.Errorf("%s: %v: %v", name, b.labels, err)
			}
		}
	}
}

func TestProviderFindsMistakes(t *testing.T) {
	s := openSchema(t, "testdata/terraform.txt")
	for _, c := range []struct{ resource, text, want string }{
		{"aws_cloudfront_cache_policy", `name = "a"`, "parameters_in_cache_key_and_forwarded_to_origin is missing"},
		{"aws_cloudfront_origin_access_control", `ttl = 1`, "ttl: there is no such"},
		{"aws_s3_bucket", `bucket = 1`, "1 is no string"},
		{"aws_s3_bucket", "bucket {\n}", "not a block"},
		{"aws_cloudfront_distribution", "restrictions {\n}\nrestrictions {\n}", "one is allowed"},
	} {
		err := errors.Join(provided(s, c.resource, readHCL(t, []byte(c.text+"\n")))...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %q", c.text, err, c.want)
		}
	}
}

// TestTerraformReferences checks that everything referred to is declared, and everything declared is used.
func TestTerraformReferences(t *testing.T) {
	for name, o := range cases() {
		_, text := printed(t, o)
		f, diagnostics := hclsyntax.ParseConfig(text, "printed.tf", hcl.InitialPos)
		if diagnostics.HasErrors() {
			t.Fatal(diagnostics)
		}
		used := map[string]bool{}
		_ = hclsyntax.VisitAll(f.Body.(*hclsyntax.Body), func(n hclsyntax.Node) hcl.Diagnostics {
			if e, ok := n.(*hclsyntax.ScopeTraversalExpr); ok && len(e.Traversal) > 1 { // a single one is a type
				parts := []string{e.Traversal.RootName()}
				for _, step := range e.Traversal[1:] {
					if a, ok := step.(hcl.TraverseAttr); ok {
						parts = append(parts, a.Name)
					}
				}
				want := 2
				if parts[0] == "data" {
					want = 3
				}
				used[strings.Join(parts[:min(want, len(parts))], ".")] = true
			}
			return nil
		})
		declared := map[string]bool{}
		for _, b := range readHCL(t, text).blocks {
			switch b.kind {
			case "variable":
				declared["var."+b.labels[0]] = true
			case "data":
				declared["data."+strings.Join(b.labels, ".")] = true
			case "resource":
				declared[strings.Join(b.labels, ".")] = true
			}
		}
		for n := range used {
			if !declared[n] {
				t.Errorf("%s: there is no %s", name, n)
			}
		}
		for n := range declared {
			if strings.HasPrefix(n, "var.") && !used[n] {
				t.Errorf("%s: %s is used nowhere", name, n)
			}
		}
	}
}

func TestTerraformIsFormatted(t *testing.T) {
	for name, o := range cases() {
		_, text := printed(t, o)
		if d := cmp.Diff(strings.Split(string(hclwrite.Format(text)), "\n"), strings.Split(string(text), "\n")); d != "" {
			t.Errorf("%s (-formatted +printed):\n%s", name, d)
		}
	}
}

func TestSecretIsAVariableThatIsNotShown(t *testing.T) {
	_, text := printed(t, cases()["full"])
	v := readHCL(t, text).find(t, "variable", "origin_secret")
	if constant(v.attributes["sensitive"]) != true || v.attributes["default"] != nil {
		t.Error("origin_secret is shown, or has a value")
	}
	if _, text = printed(t, cases()["plain"]); bytes.Contains(text, []byte("origin_secret")) || bytes.Contains(text, []byte("custom_header ")) {
		t.Error("a server without a secret is sent one")
	}
}

// TestBothSayTheSame compares what has no numbers: lists and words that are in both outputs.
func TestBothSayTheSame(t *testing.T) {
	for name, o := range cases() {
		c, h := printed(t, o)
		doc, tf := readYAML(t, c), readHCL(t, h)
		config := at(t, doc, "Resources", "Distribution", "Properties", "DistributionConfig")
		live := any(tf.find(t, "resource", "aws_cloudfront_distribution", "live").values())
		playlists := any(tf.find(t, "resource", "aws_cloudfront_cache_policy", "playlists").values())
		cors := any(tf.find(t, "resource", "aws_cloudfront_response_headers_policy", "cors").values())
		const key = "ParametersInCacheKeyAndForwardedToOrigin"
		for _, pair := range [][2]any{
			{at(t, config, "PriceClass"), at(t, live, "price_class")},
			{at(t, config, "HttpVersion"), at(t, live, "http_version")},
			{at(t, config, "Origins", 0, "OriginPath"), at(t, live, "origin", 0, "origin_path")},
			{at(t, config, "Origins", 0, "CustomOriginConfig", "OriginProtocolPolicy"),
				at(t, live, "origin", 0, "custom_origin_config", 0, "origin_protocol_policy")},
			{at(t, config, "CacheBehaviors", 0, "PathPattern"), at(t, live, "ordered_cache_behavior", 0, "path_pattern")},
			{at(t, config, "CacheBehaviors", 0, "TargetOriginId"), at(t, live, "ordered_cache_behavior", 0, "target_origin_id")},
			{at(t, config, "CacheBehaviors", 0, "Compress"), at(t, live, "ordered_cache_behavior", 0, "compress")},
			{at(t, config, "CacheBehaviors", 1, "PathPattern"), at(t, live, "ordered_cache_behavior", 1, "path_pattern")},
			{at(t, config, "CacheBehaviors", 1, "TargetOriginId"), at(t, live, "ordered_cache_behavior", 1, "target_origin_id")},
			{at(t, config, "CacheBehaviors", 1, "Compress"), at(t, live, "ordered_cache_behavior", 1, "compress")},
			{at(t, doc, "Resources", "PlaylistCache", "Properties", "CachePolicyConfig", key, "QueryStringsConfig", "QueryStrings"),
				at(t, playlists, "parameters_in_cache_key_and_forwarded_to_origin", 0, "query_strings_config", 0, "query_strings", 0, "items")},
			{at(t, doc, "Resources", "CrossOrigin", "Properties", "ResponseHeadersPolicyConfig", "CorsConfig", "AccessControlAllowOrigins", "Items"),
				at(t, cors, "cors_config", 0, "access_control_allow_origins", 0, "items")},
			{at(t, doc, "Resources", "CrossOrigin", "Properties", "ResponseHeadersPolicyConfig", "CorsConfig", "AccessControlExposeHeaders", "Items"),
				at(t, cors, "cors_config", 0, "access_control_expose_headers", 0, "items")},
		} {
			if d := cmp.Diff(pair[0], pair[1]); d != "" {
				t.Errorf("%s (-CloudFormation +Terraform):\n%s", name, d)
			}
		}
		if o.Bucket == nil {
			continue
		}
		statements := at(t, doc, "Resources", "Uploader", "Properties", "PolicyDocument", "Statement").([]any)
		uploader := any(tf.find(t, "data", "aws_iam_policy_document", "uploader").values())
		for i := range statements {
			actions := at(t, statements[i], "Action")
			if one, ok := actions.(string); ok {
				actions = []any{one}
			}
			if d := cmp.Diff(actions, at(t, uploader, "statement", i, "actions")); d != "" {
				t.Errorf("%s: uploader (-CloudFormation +Terraform):\n%s", name, d)
			}
		}
	}
}
