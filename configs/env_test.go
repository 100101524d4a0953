package configs

import (
	"reflect"
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
		// Beside a Kubernetes service called hlsorigin, these are in every container.
		"HLSORIGIN_SERVICE_HOST=10.0.0.1", "HLSORIGIN_SERVICE_PORT=5080", "HLSORIGIN_SERVICE_PORT_HTTP=5080",
		"HLSORIGIN_PORT=tcp://10.0.0.1:5080", "HLSORIGIN_PORT_5080_TCP=tcp://10.0.0.1:5080", "HLSORIGIN_PORT_5080_TCP_ADDR=10.0.0.1",
		"HLSORIGIN_ADMIN_SERVICE_HOST=10.0.0.2",
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

// The token of the command line may stand in the server's environment too: it is no setting.
func TestTokenIsNoSetting(t *testing.T) {
	if _, err := Load("", []string{TokenVariable + "=secret"}); err != nil {
		t.Error(err)
	}
	if _, err := Load("", []string{TokenVariable + "S=secret"}); err == nil {
		t.Error("a name that is like it is taken")
	}
}
