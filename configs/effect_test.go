package configs

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/test/docs"
)

var updateDocs = flag.Bool("update", false, "rewrite what is generated")

// Each setting has an effect, and each effect is a setting's.
func TestEverySettingHasAnEffect(t *testing.T) {
	used := map[string]bool{}
	for _, s := range Settings() {
		if s.Effect == 0 {
			t.Errorf("%s: effects do not say when a change of it counts", s.Name)
		}
		for name := s.Name; name != ""; name = name[:max(0, strings.LastIndexByte(name, '.'))] {
			if effects[name] != 0 {
				used[name] = true
				break
			}
		}
	}
	for name := range effects {
		if !used[name] {
			t.Errorf("effects name %s, which is no setting", name)
		}
	}
}

// effectTable has one row for each effect, and its settings.
func effectTable() string {
	var b strings.Builder
	b.WriteString("| counts | settings |\n|---|---|\n")
	for _, e := range []Effect{AtOnce, NextPublish, NextStart} {
		var names []string
		for _, s := range Settings() {
			if s.Effect == e {
				names = append(names, "`"+s.Name+"`")
			}
		}
		fmt.Fprintf(&b, "| %s | %s |\n", e, strings.Join(names, ", "))
	}
	return b.String()
}

// TestDocumentationOfEffects keeps the table in docs/operations.md; -update rewrites it.
func TestDocumentationOfEffects(t *testing.T) {
	docs.Section(t, "../docs/operations.md", "<!-- effects -->", "<!-- end of effects -->", effectTable(), *updateDocs)
}

func TestUpdate(t *testing.T) {
	parse := func(yaml string) Config {
		t.Helper()
		c, err := Parse([]byte(yaml), "a.yaml", nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const base = "apps: {live: {keys: {cam: k1}, hls: {window: 30s}}, old: {}}\n"
	for _, c := range []struct{ name, was, is, changes, waiting string }{
		{"nothing", base, base, "", ""},
		{"an empty list is none", base + "http: {cors_origins: []}", base, "", ""},
		{"a key", base, strings.Replace(base, "k1", "k2", 1), "apps.live.keys at once", ""},
		{"an app's window", base, strings.Replace(base, "30s", "90s", 1), "apps.live.hls.window at the next publish", ""},
		{"an app's packaging", base, strings.Replace(base, "window: 30s", "window: 30s, cmaf: false", 1), "apps.live.hls.cmaf at once", ""},
		{"an app comes, another goes", base, strings.Replace(base, "old", "new", 1), "apps.new at once, apps.old at once", ""},
		{"an app's callback", base, strings.Replace(base, "old: {}", "old: {auth: {callback: {timeout: 3s}}}", 1), "apps.old.auth.callback.timeout at once", ""},
		{"a listener and a limit", base, base + "rtmp: {listen: ':1945', max_connections: 7}", "rtmp.listen at the next start, rtmp.max_connections at once", "rtmp.listen"},
		{"a certificate", base + "rtmp: {tls: {listen: ':5443', cert: a, key: b}}", base + "rtmp: {tls: {listen: ':5443', cert: c, key: b}}", "rtmp.tls.cert at once", ""},
		{"a bucket", base, base + "storage: {url: 's3://b', workers: 9}", "storage.url at the next start, storage.workers at the next start", "storage.url,storage.workers"},
		{"a replica", base, base + "storage: {replica: {url: 's3://b'}}", "storage.replica at the next start", "storage.replica"},
		{"another secret of the cluster", base + clustered("0123456789abcdef"), base + clustered("fedcba9876543210"), "cluster.secret at once", ""},
		{"a first secret of a cluster", base, base + clustered("0123456789abcdef"), "cluster.address at the next start, cluster.secret at the next start", "cluster.address,cluster.secret"},
		{"a server leaves its cluster", base + clustered("0123456789abcdef"), base, "cluster.address at the next start, cluster.secret at the next start", "cluster.address,cluster.secret"},
		{"all apps", base, "apps: {}", "apps.live at once, apps.old at once", ""},
	} {
		was, is := parse(c.was), parse(c.is)
		u := was.UpdateTo(is)
		var changes []string
		for _, ch := range u.Changes {
			changes = append(changes, ch.Name+" "+ch.Effect.String())
		}
		if got := strings.Join(changes, ", "); got != c.changes {
			t.Errorf("%s: %q, not %q", c.name, got, c.changes)
		}
		if got := strings.Join(u.Waiting(), ","); got != c.waiting {
			t.Errorf("%s: %q wait, not %q", c.name, got, c.waiting)
		}
		// What is put in force is the wanted one but for what waits, which is still a change the next time.
		again := u.Config.UpdateTo(is)
		if got := strings.Join(again.Waiting(), ","); got != c.waiting || len(again.Changes) != len(again.Waiting()) {
			t.Errorf("%s: afterwards %v are changes", c.name, again.Changes)
		}
		if got := was.UpdateTo(u.Config); len(got.Waiting()) > 0 {
			t.Errorf("%s: %v is put in force", c.name, got.Waiting())
		}
		if u := is.UpdateTo(is); len(u.Changes) > 0 {
			t.Errorf("%s: it differs from itself in %v", c.name, u.Changes)
		}
	}
}

// A changed secret is named by its setting alone.
func TestUpdateShowsNoSecret(t *testing.T) {
	a, b := Default(), Default()
	b.Apps = map[string]App{"live": {Keys: map[string]Secret{"cam": "hush-hush"}}}
	b.HTTP.CDNSecret.Values = []Secret{"hush-hush"}
	u := a.UpdateTo(b)
	if s := fmt.Sprint(u.Changes); strings.Contains(s, "hush") || !slices.Contains(u.Changes, Change{"http.cdn_secret.values", AtOnce}) {
		t.Error(s)
	}
}
