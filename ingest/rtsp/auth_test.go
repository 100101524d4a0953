package rtsp

import (
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// onlyWith admits one user and password.
func onlyWith(user, password string) func(ingest.Request) (ingest.Grant, error) {
	return func(q ingest.Request) (ingest.Grant, error) {
		if q.User != user || q.Password != password {
			return ingest.Grant{}, ingest.Refuse(ingest.Unauthorized, "wrong or missing publish key")
		}
		return ingest.Grant{Stream: q.Name, Identity: user}, nil
	}
}

func TestParseTarget(t *testing.T) {
	for _, c := range []struct {
		path, query string
		want        target
		bad         bool
	}{
		{"/live/cam", "", target{app: "live", name: "cam"}, false},
		{"/live/cam/", "", target{app: "live", name: "cam"}, false},
		{"/live/cam", "key=s%2Fe&user=u", target{"live", "cam", "u", "s/e", ""}, false},
		{"/live/cam", "pass=p", target{"live", "cam", "", "p", ""}, false},
		{"/live/cam", "pass=p&key=k", target{"live", "cam", "", "k", ""}, false},
		{"/live/cam", "key=k/", target{"live", "cam", "", "k", ""}, false},
		{"/live/cam", "jwt=a.b.c", target{"live", "cam", "", "", "a.b.c"}, false},
		{"/live/cam", "token=x&jwt=a.b.c", target{"live", "cam", "", "", "x"}, false},
		{"/live", "", target{}, true},
		{"/", "", target{}, true},
		{"", "", target{}, true},
		{"/live/a/b", "", target{}, true},
		{"/live/cam", "key=%zz", target{}, true},
	} {
		got, err := parseTarget(c.path, c.query)
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("parseTarget(%q, %q) = %+v, %v", c.path, c.query, got, err)
		}
	}
}

func TestParseAuthorization(t *testing.T) {
	for _, c := range []struct {
		header         string
		scheme         scheme
		user, password string
		bad            bool
	}{
		{"", noAuth, "", "", false},
		{"Basic dTpw", basicAuth, "u", "p", false},
		{"basic dTpwOnE=", basicAuth, "u", "p:q", false},
		{"Basic OnA=", basicAuth, "", "p", false},
		{"Basic dXA=", noAuth, "", "", true},
		{"Basic !", noAuth, "", "", true},
		{`Digest username="u", realm="r"`, digestAuth, "u", "", false},
		{`Digest username=""`, noAuth, "", "", true},
		{`Digest username="u`, noAuth, "", "", true},
		{"Bearer x", noAuth, "", "", true},
		{"Basic", noAuth, "", "", true},
	} {
		var v base.HeaderValue
		if c.header != "" {
			v = base.HeaderValue{c.header}
		}
		s, user, password, err := parseAuthorization(v)
		if s != c.scheme || user != c.user || password != c.password || (err != nil) != c.bad {
			t.Errorf("parseAuthorization(%q) = %v, %q, %q, %v", c.header, s, user, password, err)
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("/live/cam", "key=s&user=u", "Basic dTpw")
	f.Add("/live/cam/", "pass=%41/", `Digest username="u"`)
	f.Add("//", "&&=", "Basic ")
	f.Fuzz(func(t *testing.T, path, query, header string) {
		got, err := parseTarget(path, query)
		if err == nil && (got.app == "" || got.name == "" || strings.Contains(got.app+got.name, "/")) {
			t.Errorf("%q %q gave %+v", path, query, got)
		}
		s, user, password, err := parseAuthorization(base.HeaderValue{header})
		if err != nil && (s != noAuth || user != "" || password != "") {
			t.Errorf("%q gave %v %q %q with %v", header, s, user, password, err)
		}
		if p := reasonPhrase(query); len(p) > maxReason || strings.ContainsAny(p, "\r\n\x00") {
			t.Errorf("reason phrase %q", p)
		}
	})
}
