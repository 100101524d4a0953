package auth

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest"
)

const (
	local  = "127.0.0.1:5000"
	remote = "203.0.113.9:5000"
)

func newTest(t testing.TB) *Authorizer {
	t.Helper()
	a, err := New(Options{
		Apps: map[string]App{
			"keyed":  {Keys: map[string]string{"cam": "s3cret-cam", "stage": "s3cret-stage"}},
			"closed": {},
			"open":   {Open: true},
			"both":   {Keys: map[string]string{"cam": "s3cret-both"}, Open: true},
		},
		ValidStream: func(s string) bool { return s != "" && !strings.ContainsAny(s, "/ ") },
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAuthorize(t *testing.T) {
	a := newTest(t)
	for _, tc := range []struct {
		name string
		r    ingest.Request
		want ingest.Grant
		kind ingest.RefusalKind
	}{
		{"secret as name", ingest.Request{App: "keyed", Name: "s3cret-cam", Remote: remote}, ingest.Grant{Stream: "cam", Identity: "cam"}, 0},
		{"name and key", ingest.Request{App: "keyed", Name: "stage", Password: "s3cret-stage", Remote: remote}, ingest.Grant{Stream: "stage", Identity: "stage"}, 0},
		{"any user", ingest.Request{App: "keyed", Name: "stage", User: "bob", Password: "s3cret-stage"}, ingest.Grant{Stream: "stage", Identity: "stage"}, 0},
		{"user instead of name", ingest.Request{App: "keyed", User: "cam", Password: "s3cret-cam"}, ingest.Grant{Stream: "cam", Identity: "cam"}, 0},
		{"name alone", ingest.Request{App: "keyed", Name: "cam", Remote: local}, ingest.Grant{}, ingest.Unauthorized},
		{"wrong key", ingest.Request{App: "keyed", Name: "cam", Password: "s3cret-stage"}, ingest.Grant{}, ingest.Unauthorized},
		{"key of another app", ingest.Request{App: "keyed", Name: "s3cret-both"}, ingest.Grant{}, ingest.Unauthorized},
		{"beginning of a key", ingest.Request{App: "keyed", Name: "s3cret-ca"}, ingest.Grant{}, ingest.Unauthorized},
		{"nothing", ingest.Request{App: "keyed"}, ingest.Grant{}, ingest.Unauthorized},
		{"keys beat open", ingest.Request{App: "both", Name: "cam", Remote: local}, ingest.Grant{}, ingest.Unauthorized},
		{"loopback", ingest.Request{App: "closed", Name: "cam", Remote: local}, ingest.Grant{Stream: "cam", Identity: "127.0.0.1"}, 0},
		{"loopback v6", ingest.Request{App: "closed", Name: "cam", Remote: "[::1]:9"}, ingest.Grant{Stream: "cam", Identity: "::1"}, 0},
		{"loopback mapped", ingest.Request{App: "closed", Name: "cam", Remote: "[::ffff:127.0.0.1]:9"}, ingest.Grant{Stream: "cam", Identity: "127.0.0.1"}, 0},
		{"from elsewhere", ingest.Request{App: "closed", Name: "cam", Remote: remote}, ingest.Grant{}, ingest.Unauthorized},
		{"from nowhere", ingest.Request{App: "closed", Name: "cam", Remote: ""}, ingest.Grant{}, ingest.Unauthorized},
		{"open", ingest.Request{App: "open", Name: "cam", Remote: remote}, ingest.Grant{Stream: "cam", Identity: "203.0.113.9"}, 0},
		{"bad name", ingest.Request{App: "open", Name: "a b", Remote: remote}, ingest.Grant{}, ingest.BadName},
		{"empty name", ingest.Request{App: "open", Remote: remote}, ingest.Grant{}, ingest.BadName},
		{"unknown app", ingest.Request{App: "nope", Name: "cam"}, ingest.Grant{}, ingest.UnknownApp},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := a.Authorize(t.Context(), tc.r)
			if tc.kind == 0 {
				if got.Right == nil {
					t.Error("it is not remembered what for")
				}
				if got.Right = nil; err != nil || got != tc.want {
					t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
				}
				return
			}
			var r *ingest.Refusal
			if !errors.As(err, &r) || r.Kind != tc.kind || got != (ingest.Grant{}) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// TestNoSecretShown checks that no refusal repeats a possible secret, wherever it was put.
func TestNoSecretShown(t *testing.T) {
	a := newTest(t)
	const secret = "s3cret-cam with a slip/of the hand"
	for _, app := range []string{"keyed", "closed", "open", "nope", secret} {
		for _, r := range []ingest.Request{{Name: secret}, {User: secret}, {Name: "cam", Password: secret}} {
			r.App, r.Remote = app, remote
			if _, err := a.Authorize(t.Context(), r); err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%+v: %v", r, err)
			}
		}
	}
}

func TestUnknownAppSaysWhatToDo(t *testing.T) {
	_, err := newTest(t).Authorize(t.Context(), ingest.Request{App: "nope"})
	if err == nil || !strings.Contains(err.Error(), "both, closed, keyed, open") {
		t.Errorf("got %v", err)
	}
	none, _ := New(Options{})
	if _, err := none.Authorize(t.Context(), ingest.Request{App: "nope", Name: "x"}); err == nil {
		t.Error("granted without an app")
	}
}

func TestBadSettings(t *testing.T) {
	for want, keys := range map[string]map[string]string{
		"is empty":            {"cam": ""},
		"a and b have":        {"a": "same", "b": "same"},
		"cannot name a strea": {"a/b": "x"},
	} {
		_, err := New(Options{Apps: map[string]App{"live": {Keys: keys}}, ValidStream: func(s string) bool { return !strings.Contains(s, "/") }})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "same secret key: same") {
			t.Errorf("%v: %v", keys, err)
		}
	}
}

// FuzzAuthorize checks that only a request with a key is granted its stream, and that no answer shows a key.
func FuzzAuthorize(f *testing.F) {
	f.Add("keyed", "s3cret-cam", "", "")
	f.Add("keyed", "cam", "cam", "s3cret-cam")
	f.Add("open", "x", "", "")
	a := newTest(f)
	f.Fuzz(func(t *testing.T, app, name, user, password string) {
		g, err := a.Authorize(t.Context(), ingest.Request{App: app, Name: name, User: user, Password: password, Remote: remote})
		if err != nil {
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("a secret is shown: %v", err)
			}
			return
		}
		keys := map[string]string{"cam": "s3cret-cam", "stage": "s3cret-stage"}
		switch app {
		case "keyed":
			if !slices.Contains([]string{name, password}, keys[g.Stream]) {
				t.Errorf("granted %+v", g)
			}
		case "both":
			if !slices.Contains([]string{name, password}, "s3cret-both") {
				t.Errorf("granted %+v", g)
			}
		case "open":
		default:
			t.Errorf("granted %+v to a stranger", g)
		}
	})
}

// TestKeyed: which streams have a key of their own, plain or hashed.
func TestKeyed(t *testing.T) {
	a, err := New(Options{Apps: map[string]App{"live": {Keys: map[string]string{"show": "one", "hall": Hash("two")}}, "open": {Open: true}}, ValidStream: func(string) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[[2]string]bool{{"live", "show"}: true, {"live", "hall"}: true, {"live", "show_a"}: false, {"open", "show"}: false, {"none", "show"}: false} {
		if got := a.Keyed(path[0], path[1]); got != want {
			t.Errorf("%v: %v", path, got)
		}
	}
}
