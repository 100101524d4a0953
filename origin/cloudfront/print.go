package cloudfront

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"
)

//go:embed cloudformation.tmpl terraform.tmpl
var texts embed.FS

// CloudFormation writes a commented template in YAML. The same options always give the same bytes. It writes nothing if the options
// contradict CloudFront's limits or one another.
func CloudFormation(w io.Writer, o Options) error {
	return print(w, o, "cloudformation.tmpl", yamlQuote)
}

// Terraform writes a commented configuration in HCL for the provider hashicorp/aws, under the same terms.
func Terraform(w io.Writer, o Options) error { return print(w, o, "terraform.tmpl", hclQuote) }

func print(w io.Writer, o Options, name string, quote func(string) string) error {
	if err := o.check(); err != nil {
		return err
	}
	text, err := texts.ReadFile(name)
	if err != nil {
		return err
	}
	t, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{
		"q": quote,
		"list": func(items []string) string {
			quoted := make([]string, len(items))
			for i, s := range items {
				quoted[i] = quote(s)
			}
			return "[" + strings.Join(quoted, ", ") + "]"
		},
		"ints": func(items []int) string { return strings.ReplaceAll(fmt.Sprint(items), " ", ", ") },
	}).Parse(string(text))
	if err != nil {
		return err
	}
	// All or nothing: half a template that is piped on would be applied.
	var out bytes.Buffer
	if err := t.Execute(&out, o.view()); err != nil {
		return err
	}
	_, err = w.Write(out.Bytes())
	return err
}

// view returns what the templates see: the options, and what follows from them.
func (o Options) view() map[string]any {
	if o.MaxTargetDuration == 0 {
		o.MaxTargetDuration = o.TargetDuration
	}
	if o.PriceClass == "" {
		o.PriceClass = "PriceClass_All"
	}
	origins := o.CORSOrigins
	if len(origins) == 0 || slices.Contains(origins, "*") {
		origins = []string{"*"}
	}
	var asked []string // parameters without a value of their own
	for name, ask := range map[string]bool{
		"OriginDomain=HOST": o.Domain == "", "OriginSecret=SECRET": o.SecretHeader != "",
		"BucketRegion=REGION": o.Bucket != nil && o.Bucket.Region == "",
	} {
		if ask {
			asked = append(asked, name)
		}
	}
	slices.Sort(asked)
	packages := map[string]any{"Path": "", "Origin": "", "Age": agePackage, "MaxAge": maxAgePackage}
	if o.Bucket != nil {
		packages["Path"], packages["Origin"] = o.Bucket.packagesPath(o.App), o.Bucket.packagesOrigin(o.App)
	}
	return map[string]any{
		"Asked": strings.Join(asked, " "),
		"O":     o, "Bucket": o.Bucket, "Half": o.half(), "HalfMax": max(1, o.MaxTargetDuration/2),
		// Names of policies contain no dot.
		"Name":       "hlsorigin-" + strings.ReplaceAll(o.App, ".", "-"),
		"OriginPath": "/" + o.App,
		"Port":       cmp.Or(o.HTTPSPort, o.HTTPPort),
		"Read":       o.readTimeout(), "KeepAlive": o.keepAlive(),
		"Timeout": connectionTimeout, "Attempts": connectionAttempts, "WorstConnect": connectionTimeout * connectionAttempts,
		"AgeSegment": ageSegment, "AgePlaylist": agePlaylist,
		"Errors": o.errors(), "Queries": o.queries(), "PlaylistFailover": o.playlistsFrom(), "SegmentFailover": segmentFailover,
		"CORS": origins, "Exposed": exposedHeaders, "Preflight": preflightHeaders, "PreflightAge": preflightAge,
		"Packages": packages, "Patterns": packagePatterns,
		"AbortDays": abortUploadDays,
		"Signed":    o.signed(), "Keys": o.signingKeys(), "KeyGroups": o.KeyGroups,
		// A browser sends cookies to another host only where that host says so, and then it has to name who may.
		"Credentials": o.signed() && origins[0] != "*",
		"Target":      map[bool][2]string{true: {"PlaylistsOrBucket", "SegmentsOrBucket"}, false: {"Origin", "Origin"}}[o.Bucket != nil],
	}
}

// yamlQuote writes s as a JSON string, which is valid YAML.
func yamlQuote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string and a buffer: neither fails
	return strings.TrimSuffix(b.String(), "\n")
}

// hclQuote does the same for HCL, where ${ and %{ begin expressions.
func hclQuote(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(yamlQuote(s))
}
