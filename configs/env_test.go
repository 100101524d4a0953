package configs

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironmentReachesEveryKey(t *testing.T) {
	d := Default()
	for _, name := range variables(reflect.ValueOf(&d).Elem(), Prefix) {
		dec := &decoder{env: name, where: map[string]Error{}, lookup: environment{}.lookup}
		c := Default()
		if !dec.assign(reflect.ValueOf(&c).Elem(), name[len(Prefix):], "", "0") {
			t.Errorf("%s reaches nothing", name)
		}
	}
	if n := len(variables(reflect.ValueOf(&d).Elem(), Prefix)); n < 80 {
		t.Errorf("only %d variables", n)
	}
}

func TestEnvironment(t *testing.T) {
	file := "apps:\n  Big-Show: {}\n  live: {keys: {my_cam: old}}\n"
	got, err := Parse([]byte(file), "f", []string{
		"HLSORIGIN_HTTP_LISTEN=",
		"HLSORIGIN_HTTP_CORS_ORIGINS=https://a.example, https://b.example",
		"HLSORIGIN_HTTP_CDN_SECRET_VALUES=[\"one\", two]",
		"HLSORIGIN_APPS_BIG_SHOW_PUBLISH=open",
		"HLSORIGIN_APPS_LIVE_KEYS_MY_CAM=new",
		"HLSORIGIN_APPS_LIVE_KEYS_OTHER=${S}2",
		"S=x",
		"HLSORIGIN_APPS_LIVE_HLS_WINDOW=90s",
		"HLSORIGIN_APPS_ADDED_PUBLISH=open",
		"HLSORIGIN_APPS_WHOLE={publish: open}",
		"HLSORIGIN_STORAGE_TAGS_TEAM=tv",
		"HLSORIGIN_STORAGE_URL=s3://b",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.HTTP.Listen = ""
	want.HTTP.CORSOrigins = []string{"https://a.example", "https://b.example"}
	want.HTTP.CDNSecret.Values = []Secret{"one", "two"}
	window := seconds(90)
	want.Apps = map[string]App{
		"Big-Show": {Publish: PublishOpen, Auth: defaultApp().Auth},
		"live":     {Keys: map[string]Secret{"my_cam": "new", "other": "x2"}, HLS: AppHLS{Window: &window}, Auth: defaultApp().Auth},
		"added":    {Publish: PublishOpen, Auth: defaultApp().Auth},
		"whole":    {Publish: PublishOpen, Auth: defaultApp().Auth},
	}
	want.Storage.URL, want.Storage.Tags = "s3://b", map[string]string{"team": "tv"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEnvironmentMakesAReplica(t *testing.T) {
	d := &decoder{where: map[string]Error{}}
	c := Default()
	d.environment(&c, split([]string{"HLSORIGIN_STORAGE_REPLICA_URL=s3://two", "HLSORIGIN_STORAGE_REPLICA_WORKERS=2"}))
	want := defaultBucket("s3://two")
	want.Workers = 2
	if len(d.errs) > 0 || c.Storage.Replica == nil || !reflect.DeepEqual(*c.Storage.Replica, want) {
		t.Errorf("%v %+v", d.errs, c.Storage.Replica)
	}
}

// kubernetes is what a container finds beside services called hlsorigin, with these ports, and hlsorigin-admin.
var kubernetes = []string{
	"HLSORIGIN_SERVICE_HOST=10.96.0.17", "HLSORIGIN_SERVICE_PORT=5080", "HLSORIGIN_SERVICE_PORT_HTTP=5080", "HLSORIGIN_SERVICE_PORT_RTMP_TLS=1936",
	"HLSORIGIN_PORT=tcp://10.96.0.17:5080", "HLSORIGIN_PORT_5080_TCP=tcp://10.96.0.17:5080", "HLSORIGIN_PORT_5080_TCP_ADDR=10.96.0.17",
	"HLSORIGIN_PORT_5080_TCP_PORT=5080", "HLSORIGIN_PORT_5080_TCP_PROTO=tcp", "HLSORIGIN_PORT_8000_UDP=udp://10.96.0.17:8000",
	"HLSORIGIN_PORT_8000_UDP_PROTO=udp", "HLSORIGIN_PORT_9_SCTP=sctp://10.96.0.17:9", "HLSORIGIN_PORT_9_SCTP_PROTO=sctp",
	"HLSORIGIN_ADMIN_SERVICE_HOST=fd00::17", "HLSORIGIN_ADMIN_PORT=tcp://[fd00::17]:5081", "HLSORIGIN_ADMIN_PORT_5081_TCP_ADDR=fd00::17",
}

func TestUnknown(t *testing.T) {
	for name, tc := range map[string]struct {
		environ, want []string // in order; each a part of the message
	}{
		"none":                           {[]string{"PATH=/bin", "HLSORIGIN_HTTP_LISTEN=:80", "HLSORIGIN_APPS_SHOW_PUBLISH=open", "HLSORIGIN_STORAGE_REPLICA_URL=s3://two"}, nil},
		"Kubernetes":                     {kubernetes, nil},
		"not ours to judge":              {[]string{FileVariable + "=x", TokenVariable + "=x", "HLSORIGIN_TEST_SCALE=1"}, nil},
		"a misspelt name":                {[]string{"HLSORIGIN_HTTP_LISTN=:80"}, []string{`HLSORIGIN_HTTP_LISTN: no setting has this name, so it changes nothing (did you mean "HLSORIGIN_HTTP_LISTEN"?)`}},
		"a misspelt key of an app":       {[]string{"HLSORIGIN_APPS_LIVE_PUBLSH=open"}, []string{`(did you mean "HLSORIGIN_APPS_LIVE_PUBLISH"?)`}},
		"a name like the token's":        {[]string{TokenVariable + "S=secret"}, []string{"HLSORIGIN_TOKENS: "}},
		"the prefix":                     {[]string{"HLSORIGIN_=x"}, []string{"HLSORIGIN_: "}},
		"a guess that looks injected":    {[]string{"HLSORIGIN_HTTP_PORT=8080", "HLSORIGIN_PORT=5080"}, []string{"HLSORIGIN_HTTP_PORT: ", "HLSORIGIN_PORT: "}},
		"an app in the place of its key": {[]string{"HLSORIGIN_APPS_SHOW=open"}, []string{"HLSORIGIN_APPS_SHOW: "}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Parse(nil, "", tc.environ)
			if err != nil {
				t.Fatal(err)
			}
			before := c.String()
			got := Unknown(c, tc.environ)
			if len(got) != len(tc.want) {
				t.Fatalf("%d variables, wanted %d: %v", len(got), len(tc.want), got)
			}
			for i, e := range got {
				if !strings.Contains(e.Error(), "environment variable ") || !strings.Contains(e.Error(), tc.want[i]) || strings.Contains(e.Error(), "secret") {
					t.Errorf("%v lacks %q", e, tc.want[i])
				}
			}
			if c.String() != before {
				t.Error("the configuration was changed")
			}
			if again, _ := Parse(nil, "", nil); name == "Kubernetes" && !equal(again, c) {
				t.Error("what Kubernetes puts there counts")
			}
		})
	}
}

// A stream may be called as what Kubernetes injects: what is a setting is one.
func TestStreamsMayBeCalledSo(t *testing.T) {
	environ := []string{"HLSORIGIN_APPS_LIVE_KEYS_SERVICE_PORT=0123", "HLSORIGIN_APPS_LIVE_KEYS_SERVICE_HOST=fd00"}
	c, err := Parse(nil, "", environ)
	if err != nil {
		t.Fatal(err)
	}
	if keys := c.Apps["live"].Keys; keys["service_port"] != "0123" || keys["service_host"] != "fd00" {
		t.Errorf("keys of %v", slices.Collect(maps.Keys(keys)))
	}
	if got := Unknown(c, environ); len(got) > 0 {
		t.Error(got)
	}
}

// Another Config shares the maps of the one that it was copied from.
func TestEnvironmentChangesNoOtherConfig(t *testing.T) {
	c := Default()
	d := &decoder{where: map[string]Error{}, lookup: environment{}.lookup}
	other := c
	if !d.assign(reflect.ValueOf(&c).Elem(), "APPS_LIVE_KEYS_CAM", "", "x") || len(other.Apps["live"].Keys) > 0 || len(c.Apps["live"].Keys) != 1 {
		t.Errorf("%v and %v", c.Apps, other.Apps)
	}
}
