package rtmp

import (
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest"
)

func TestParseTarget(t *testing.T) {
	for _, tc := range []struct {
		what             string
		app, tcURL, name string
		want             ingest.Request
		refused          bool
	}{
		{"ffmpeg", "live", "rtmp://h:1935/live", "cam", ingest.Request{App: "live", Name: "cam"}, false},
		{"OBS with a slash behind the server", "live/", "rtmp://h/live/", "cam", ingest.Request{App: "live", Name: "cam"}, false},
		{"key beside the name", "live", "", "cam?key=s", ingest.Request{App: "live", Name: "cam", Password: "s", Query: "key=s"}, false},
		{"user and pass", "live", "", "cam?user=u&pass=p%26", ingest.Request{App: "live", Name: "cam", User: "u", Password: "p&", Query: "user=u&pass=p%26"}, false},
		{"query on the app", "live?key=s", "rtmp://h/live?key=s", "cam", ingest.Request{App: "live", Name: "cam", Password: "s", Query: "key=s"}, false},
		{"query on tcUrl only", "live", "rtmp://h/live?key=s", "cam", ingest.Request{App: "live", Name: "cam", Password: "s", Query: "key=s"}, false},
		{"the name's query first", "live?key=a", "", "cam?key=n", ingest.Request{App: "live", Name: "cam", Password: "n", Query: "key=n"}, false},
		{"token", "live", "", "cam?token=a.b.c", ingest.Request{App: "live", Name: "cam", Token: "a.b.c", Query: "token=a.b.c"}, false},
		{"jwt", "live", "", "?jwt=a.b.c", ingest.Request{App: "live", Token: "a.b.c", Query: "jwt=a.b.c"}, false},
		{"nothing", "", "", "", ingest.Request{}, false},
		{"instance", "live/inst", "", "cam", ingest.Request{}, true},
		{"long", "live", "", strings.Repeat("x", maxName), ingest.Request{}, true},
	} {
		got, err := parseTarget(tc.app, tc.tcURL, tc.name)
		if got != tc.want || (err != nil) != tc.refused {
			t.Errorf("%s: got %+v, %v", tc.what, got, err)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	f.Add("live/", "rtmp://h/live?key=s", "cam?key=%zz&user=a;b")
	f.Fuzz(func(t *testing.T, app, tcURL, name string) {
		r, err := parseTarget(app, tcURL, name)
		if err == nil && (strings.ContainsAny(r.App, "?/") || strings.Contains(r.Name, "?")) {
			t.Errorf("%+v", r)
		}
	})
}
