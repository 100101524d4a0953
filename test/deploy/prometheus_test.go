package deploy

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// known returns the names of all series: those of the generated table, and those that every Go program and every scrape has.
func known(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{"up": true, "process_start_time_seconds": true, "process_cpu_seconds_total": true, "process_resident_memory_bytes": true,
		"process_open_fds": true, "process_max_fds": true}
	for _, m := range regexp.MustCompile("(?m)^\\| `(hlsorigin_[a-z0-9_]+)` \\| (\\w+)").FindAllStringSubmatch(string(text), -1) {
		names[m[1]] = true
		if m[2] == "histogram" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				names[m[1]+suffix] = true
			}
		}
	}
	if len(names) < 50 {
		t.Fatalf("only %d names in docs/metrics.md: is the table where it was?", len(names))
	}
	return names
}

// expression parses an expression with Prometheus's own parser and looks for series that nobody exports.
func expression(t *testing.T, where, text string, names map[string]bool) {
	t.Helper()
	e, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		t.Errorf("%s: %s: %v", where, text, err)
		return
	}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok && !names[v.Name] {
			t.Errorf("%s: nobody exports %s", where, v.Name)
		}
		return nil
	})
}

// troubleshooting is the page of runbooks, and the anchors of its headings.
func troubleshooting(t *testing.T) (text string, anchors map[string]bool) {
	t.Helper()
	help, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors = map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(help), -1) {
		anchors[strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")] = true
	}
	return string(help), anchors
}

func TestAlerts(t *testing.T) {
	names := known(t)
	groups, errs := rulefmt.Parse(read(t, "prometheus", "alerts.yaml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}))
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil {
		t.FailNow()
	}
	help, anchors := troubleshooting(t)
	seen, used := 0, map[string]bool{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			seen++
			expression(t, r.Alert, r.Expr, names)
			if s := r.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("%s: severity %q", r.Alert, s)
			}
			_, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "docs/troubleshooting.md#")
			if !anchors[anchor] {
				t.Errorf("%s: docs/troubleshooting.md has no heading %q", r.Alert, anchor)
			}
			used[anchor] = true
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s says nothing", r.Alert)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d alerts", seen)
	}
	_, second, _ := strings.Cut(help, "## What alerts mean")
	for _, m := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(second, -1) {
		if a := strings.ReplaceAll(strings.ToLower(m[1]), " ", "-"); !used[a] {
			t.Errorf("no alert leads to %q", m[1])
		}
	}
}

// dashboard is the part of Grafana's model that matters here.
type dashboard struct {
	UID, Title string
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
	Annotations struct{ List []struct{ Name, Expr string } }
	Panels      []struct {
		ID             int
		Title, Type    string
		Description    string
		GridPos        struct{ X, Y, W, H int }
		Targets        []struct{ RefID, Expr string }
		FieldConfig    struct{ Defaults struct{ Unit string } }
		RepeatingPanel bool
	}
}

func TestDashboards(t *testing.T) {
	names := known(t)
	_, anchors := troubleshooting(t)
	uids := map[string]int{}
	files, err := fs.Glob(os.DirFS(filepath.Join(folder, "grafana", "dashboards")), "*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		var d dashboard
		if err := json.Unmarshal(read(t, "grafana", "dashboards", name), &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d.UID == "" || d.Title == "" || len(d.Panels) < 5 {
			t.Errorf("%s is no dashboard: %+v", name, d)
		}
		variables := map[string]bool{"datasource": true, "__rate_interval": true, "__interval": true}
		for _, v := range d.Templating.List {
			variables[v.Name] = true
			query, ok := v.Query.(map[string]any)
			if !ok {
				continue // the data source
			}
			m := regexp.MustCompile(`^label_values\((.+), \w+\)$`).FindStringSubmatch(query["query"].(string))
			if m == nil {
				t.Errorf("%s: the variable %s has no list of values", name, v.Name)
				continue
			}
			expression(t, name+": "+v.Name, m[1], names)
		}
		for _, a := range d.Annotations.List {
			expression(t, name+": "+a.Name, a.Expr, names)
		}
		uids[d.UID]++
		ids := map[int]bool{}
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			if ids[p.ID] {
				t.Errorf("%s: two panels have the ID %d", name, p.ID)
			}
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other, ok := taken[[2]int{x, y}]; ok || x > 23 {
						t.Fatalf("%s: %q lies on %q, or beside the page", name, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s: %q shows nothing", name, p.Title)
			}
			if _, anchor, ok := strings.Cut(p.Description, "docs/troubleshooting.md#"); ok && !anchors[anchor] {
				t.Errorf("%s: %q: docs/troubleshooting.md has no heading %q", name, p.Title, anchor)
			}
			for _, q := range p.Targets {
				text := q.Expr
				for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(text, -1) {
					if !variables[v[1]] {
						t.Errorf("%s: %q: there is no variable %s", name, p.Title, v[0])
					}
				}
				for _, v := range []string{"$__rate_interval", "$__interval"} {
					text = strings.ReplaceAll(text, v, "5m")
				}
				expression(t, name+": "+p.Title, text, names)
			}
		}
	}
	for uid, n := range uids {
		if n > 1 {
			t.Errorf("%d dashboards are %s", n, uid)
		}
	}
}
