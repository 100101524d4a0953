package buildinfo

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	settings := func(kv ...string) (s []debug.BuildSetting) {
		for i := 0; i < len(kv); i += 2 {
			s = append(s, debug.BuildSetting{Key: kv[i], Value: kv[i+1]})
		}
		return s
	}
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for name, tc := range map[string]struct {
		version  string
		settings []debug.BuildSetting
		linked   Linked
		want     Info
	}{
		"a release": {"v1.2.3", settings("GOARCH", "arm64", "GOOS", "darwin", "vcs.revision", commit, "vcs.time", "2026-11-28T20:25:00Z", "vcs.modified", "false"), Linked{Version: "v1.2.3"},
			Info{Version: "v1.2.3", Commit: commit, Date: "2026-11-28T20:25:00Z", Platform: "darwin/arm64"}},
		"an image, built where there is no git": {"(devel)", nil, Linked{"v1.2.3", commit, "2026-11-28T20:25:00Z"},
			Info{Version: "v1.2.3", Commit: commit, Date: "2026-11-28T20:25:00Z"}},
		"go build in a tree with changes": {"v0.0.0-20261128202500-0123456789ab+dirty", settings("vcs.revision", commit, "vcs.time", "2026-11-28T20:25:00Z", "vcs.modified", "true"), Linked{},
			Info{Version: "v0.0.0-20261128202500-0123456789ab+dirty", Commit: commit, Modified: true, Date: "2026-11-28T20:25:00Z"}},
		"go install of a commit": {"v1.2.4-0.20261128202500-0123456789ab", nil, Linked{},
			Info{Version: "v1.2.4-0.20261128202500-0123456789ab", Commit: "0123456789ab", Date: "2026-11-28T20:25:00Z"}},
		"go install of a release": {"v1.2.3", nil, Linked{}, Info{Version: "v1.2.3"}},
		"go run":                  {"(devel)", nil, Linked{}, Info{Version: "(devel)"}},
		"nothing":                 {"", nil, Linked{}, Info{Version: "(devel)"}},
	} {
		tc.want.Go = "go1.26.8"
		if got := Of(&debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: tc.version}, Settings: tc.settings}, tc.linked); got != tc.want {
			t.Errorf("%s: %+v, wanted %+v", name, got, tc.want)
		}
	}
}

func TestRead(t *testing.T) {
	got := Read(Linked{Version: "v9"})
	if got.Version != "v9" || got.Go != runtime.Version() || got.Platform != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("%+v", got)
	}
}

func TestString(t *testing.T) {
	const want = "hlsorigin v1.2.3\ncommit    unknown\ndate      unknown\ngo        go1.26.8\nplatform  linux/amd64\n"
	i := Info{Version: "v1.2.3", Go: "go1.26.8", Platform: "linux/amd64"}
	if got := i.String(); got != want {
		t.Errorf("%s", got)
	}
	i.Commit, i.Modified = "0123", true
	if got := i.String(); !strings.Contains(got, "commit    0123, modified\n") {
		t.Errorf("%s", got)
	}
}
